// The workflow document as the builder holds it, and the operations that change it. Pure: no state, no DOM.
//
// Nodes and edges are kept by key ({nodes: {id: node}, edges: {key: edge}}). An operation is a list of [path, value]
// pairs, null meaning "nothing stands here". app/builder/ops.py applies the same operations on the server.

export const edgeKey = (edge) => `${edge.source}|${edge.port || "next"}|${edge.target}`;

// What the server writes out and the builder leaves away, so that both read the same when they are compared.
const NODE_DEFAULTS = { name: "", notes: "", on_error: "stop", join: "all", disabled: false };

const lean = (item, defaults) =>
  Object.fromEntries(Object.entries(item).filter(([key, value]) => value !== null && value !== defaults[key]));

export function toKeyed(document) {
  const nodes = {};
  const edges = {};
  for (const node of document.nodes ?? []) nodes[node.id] = { params: {}, ...lean(node, NODE_DEFAULTS) };
  for (const edge of document.edges ?? []) edges[edgeKey(edge)] = lean(edge, { port: "next" });
  return { ...document, nodes, edges };
}

export const toListed = (doc) => ({ ...doc, nodes: Object.values(doc.nodes), edges: Object.values(doc.edges) });

const isMap = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

export const getIn = (value, path) =>
  path.reduce((inner, part) => (isMap(inner) && Object.hasOwn(inner, part) ? inner[part] : undefined), value);

function put(target, path, value) {
  const [head, ...rest] = path;
  const inner = isMap(target) ? { ...target } : {};
  if (value === null && (rest.length === 0 || !Object.hasOwn(inner, head))) delete inner[head];
  else inner[head] = rest.length ? put(inner[head], rest, value) : value;
  return inner;
}

// Where many nodes or edges change at once, their map is copied once and not once a pair.
function putOwned(doc, owned, path, value) {
  const [kind, key, ...rest] = path;
  if (!owned.has(kind)) {
    doc[kind] = { ...doc[kind] };
    owned.add(kind);
  }
  if (rest.length) doc[kind][key] = put(doc[kind][key], rest, value);
  else if (value === null) delete doc[kind][key];
  else doc[kind][key] = value;
}

function withoutLooseEdges(doc) {
  const loose = Object.keys(doc.edges).filter((key) => {
    const { source, target } = doc.edges[key];
    return !doc.nodes[source] || !doc.nodes[target];
  });
  if (!loose.length) return doc;
  const edges = { ...doc.edges };
  for (const key of loose) delete edges[key];
  return { ...doc, edges };
}

export function applyAll(doc, ops) {
  let next = { ...doc };
  const owned = new Set();
  for (const op of ops) {
    for (const [path, given] of op.set) {
      const value = given === undefined ? null : given;
      const inside = path[0] === "nodes" && path.length > 2;
      if (inside && !next.nodes[path[1]]) continue;
      if (path[0] === "nodes" || path[0] === "edges") putOwned(next, owned, path, value);
      else next = put(next, path, value);
    }
  }
  return owned.size ? withoutLooseEdges(next) : next;
}

export const apply = (doc, op) => applyAll(doc, [op]);

// The pairs that take `set` back, given the document before it. Later pairs are undone first; edges that went with
// their node come back too.
export function invert(doc, set) {
  const back = [];
  let now = doc;
  for (const [path, value] of set) {
    const at = restorable(now, path);
    back.unshift([at, getIn(now, at) ?? null]);
    now = apply(now, { set: [[path, value]] });
  }
  for (const [key, edge] of Object.entries(doc.edges)) if (!now.edges[key]) back.push([["edges", key], edge]);
  return back;
}

// Setting a.b.c where a.b was not there (or was no mapping) makes a.b: taking it back restores a.b, not only c.
function restorable(doc, path) {
  for (let length = Math.min(2, path.length); length < path.length; length += 1) {
    if (!isMap(getIn(doc, path.slice(0, length)))) return path.slice(0, length);
  }
  return path;
}

export const same = (a, b) => {
  if (a === b) return true;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  if (!isMap(a) || !isMap(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
};

// What a workflow says of its runs as a whole. Each is left away while nothing special is said.
export const RULES = ["concurrency", "on_failure", "on_cancel", "error_handler"];

// What turns `before` into `after`, as [path, was, is] at the level of whole nodes, edges and single fields.
export function diff(before, after) {
  const changes = [];
  for (const field of ["name", "description", "inputs", ...RULES]) compare([field], before[field], after[field], changes, 2);
  for (const kind of ["nodes", "edges"]) {
    for (const key of new Set([...Object.keys(before[kind]), ...Object.keys(after[kind])])) {
      compare([kind, key], before[kind][key], after[kind][key], changes, kind === "nodes" ? 2 : 0);
    }
  }
  return changes;
}

// `depth` says how many levels of mappings are opened up: parameters and inputs are compared one by one.
const OPENED = new Set(["params", "properties"]);

function compare(path, was, is, changes, depth) {
  if (same(was, is)) return;
  if (depth === 0 || !isMap(was) || !isMap(is)) {
    changes.push([path, was ?? null, is ?? null]);
    return;
  }
  for (const key of new Set([...Object.keys(was), ...Object.keys(is)])) {
    const deeper = depth === 2 && !OPENED.has(key) ? 0 : depth - 1;
    compare([...path, key], was[key], is[key], changes, deeper);
  }
}

const overlaps = (a, b) => a.slice(0, b.length).every((part, i) => part === b[i]);

// What both sides changed, to different values: [{path, mine, theirs}], each path the wider of the two.
export function conflicts(base, mine, theirs) {
  const found = new Map();
  const ours = diff(base, mine);
  for (const [path] of diff(base, theirs)) {
    for (const [own] of ours) {
      const wide = own.length < path.length ? own : path;
      if (!overlaps(own, path) || same(getIn(mine, wide), getIn(theirs, wide))) continue;
      if (isPlace(wide)) continue;
      found.set(wide.join("\u0000"), { path: wide, mine: getIn(mine, wide), theirs: getIn(theirs, wide) });
    }
  }
  return [...found.values()];
}

// Where a node stands on the canvas is no reason to ask anybody anything: the last one wins.
const isPlace = (path) => path[0] === "nodes" && path[2] === "position";

// An id for a new node, from its step type: m365.user.create -> create_user, then create_user_2.
export function newNodeId(nodes, type, taken = new Set()) {
  const parts = type.toLowerCase().replace(/[^a-z0-9.]+/g, "_").split(".").filter(Boolean);
  const words = parts.length > 2 ? [parts.at(-1), parts.at(-2)] : [parts.at(-1) ?? "step"];
  const stem = words.join("_").replace(/^[^a-z]+/, "") || "step";
  const used = (id) => Object.hasOwn(nodes, id) || taken.has(id);
  if (!used(stem)) return stem;
  let number = 2;
  while (used(`${stem}_${number}`)) number += 1;
  return `${stem}_${number}`;
}

// The ids of every node that leads to `id`, or that `id` leads to, directly or through others.
export const upstream = (doc, id) => reach(doc, id, "target", "source");
export const downstream = (doc, id) => reach(doc, id, "source", "target");

function reach(doc, id, from, to) {
  const links = {};
  for (const edge of Object.values(doc.edges)) (links[edge[from]] ??= []).push(edge[to]);
  const seen = new Set();
  const open = [...(links[id] ?? [])];
  while (open.length) {
    const next = open.pop();
    if (seen.has(next)) continue;
    seen.add(next);
    open.push(...(links[next] ?? []));
  }
  return seen;
}
