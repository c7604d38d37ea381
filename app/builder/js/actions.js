// What a person can do to the drawing. Each action is one operation, so that one undo takes it back.
import { edgeKey, newNodeId } from "./document.js";
import { freePlace, placeAfter, STEP, tidy } from "./layout.js";
import { portsOf, snap, withSelection } from "./view.js";

const CLIP = "opsloom/clip@1";

export function createActions({ store, edits }) {
  const { get, set } = store;
  const selectedNodes = () => get().flow.nodes.filter((node) => node.selected).map((node) => node.id);
  const selectedEdges = () => get().flow.edges.filter((edge) => edge.selected).map((edge) => edge.id);

  function select(ids, edgeIds = []) {
    set((state) => ({ flow: withSelection(state.flow, new Set(ids), new Set(edgeIds)) }));
  }

  function openNode(id) {
    select([id]);
    set({ openNode: id, narrowView: "node" });
  }

  function blankNode(type, id) {
    const info = get().types[type];
    const aliases = get().connections.filter((row) => row.platform === info?.connection);
    const node = { id, type, params: structuredClone(info?.defaults ?? {}) };
    if (info?.connection) node.connection = aliases[0]?.alias ?? info.connection;
    return node;
  }

  // `from` ({source, port}) wires the new node to a port; `edge` puts it in the middle of a wire.
  function addNode(type, { at = null, from = null, edge = null } = {}) {
    const { doc } = get();
    const id = newNodeId(doc.nodes, type);
    const node = blankNode(type, id);
    const pairs = [[["nodes", id], node]];
    if (edge && doc.edges[edge]) pairs.push(...splice(doc, edge, node));
    else node.position = at ? freePlace(doc, at) : from ? placeAfter(doc, from.source) : freePlace(doc, nextPlace(doc));
    if (from) pairs.push(wire(from.source, from.port, id));
    edits.edit("add", pairs);
    openNode(id);
    return id;
  }

  function wire(source, port, target) {
    const edge = { source, target };
    if (port && port !== "next") edge.port = port;
    return [["edges", edgeKey(edge)], edge];
  }

  function splice(doc, key, node) {
    const { source, port, target } = doc.edges[key];
    const a = doc.nodes[source].position ?? { x: 0, y: 0 };
    const b = doc.nodes[target].position ?? { x: 0, y: 0 };
    node.position = freePlace(doc, { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    const [first] = portsOf(node, get().types[node.type]);
    return [[["edges", key], null], wire(source, port, node.id), wire(node.id, first, target)];
  }

  function nextPlace(doc) {
    const last = selectedNodes()[0] ?? Object.keys(doc.nodes).at(-1);
    if (!last) return { x: 0, y: 0 };
    const { x, y } = doc.nodes[last].position ?? { x: 0, y: 0 };
    return { x: x + STEP, y };
  }

  // Refuses what the graph may not have; says why through `set({hint})`.
  function connect({ source, sourceHandle, target }) {
    const { doc } = get();
    if (source === target) return;
    const pair = wire(source, sourceHandle, target);
    if (doc.edges[pair[0][1]]) return;
    edits.edit("connect", [pair]);
  }

  function reconnect(key, { source, sourceHandle, target }) {
    const pair = wire(source, sourceHandle, target);
    if (pair[0][1] === key || source === target) return;
    edits.edit("connect", [[["edges", key], null], pair]);
  }

  function moved(ids) {
    const at = new Map(get().flow.nodes.map((node) => [node.id, node.position]));
    const rounded = (id) => ({ x: snap(at.get(id).x), y: snap(at.get(id).y) });
    edits.edit("move", ids.filter((id) => at.has(id)).map((id) => [["nodes", id, "position"], rounded(id)]));
  }

  function nudge(dx, dy) {
    const { doc } = get();
    const shift = (at = { x: 0, y: 0 }) => ({ x: at.x + dx, y: at.y + dy });
    const pairs = selectedNodes().map((id) => [["nodes", id, "position"], shift(doc.nodes[id].position)]);
    edits.edit("move", pairs, { coalesce: "nudge" });
  }

  function remove(ids = selectedNodes(), edgeIds = selectedEdges()) {
    const { doc, openNode: open } = get();
    const gone = new Set(ids);
    const loose = Object.entries(doc.edges).filter(([, edge]) => gone.has(edge.source) || gone.has(edge.target));
    const keys = new Set([...edgeIds, ...loose.map(([key]) => key)]);
    const bridges = ids.length === 1 ? bridge(doc, ids[0]) : [];
    const pairs = [...keys].map((key) => [["edges", key], null]);
    edits.edit("delete", [...pairs, ...ids.map((id) => [["nodes", id], null]), ...bridges]);
    if (gone.has(open)) set({ openNode: null });
  }

  // Deleting one node out of a straight line joins its ends.
  function bridge(doc, id) {
    const edges = Object.values(doc.edges);
    const before = edges.filter((edge) => edge.target === id);
    const after = edges.filter((edge) => edge.source === id);
    if (before.length !== 1 || after.length !== 1 || (after[0].port ?? "next") !== "next") return [];
    return [wire(before[0].source, before[0].port, after[0].target)];
  }

  function copied(ids = selectedNodes()) {
    const { doc } = get();
    const chosen = new Set(ids);
    const edges = Object.values(doc.edges).filter((edge) => chosen.has(edge.source) && chosen.has(edge.target));
    return { clip: CLIP, nodes: ids.map((id) => doc.nodes[id]), edges };
  }

  const copyText = () => JSON.stringify(copied(), null, 2);

  function insert({ nodes, edges }, { at = null, label = "paste" } = {}) {
    const { doc } = get();
    const taken = new Set();
    const names = new Map();
    for (const node of nodes) {
      const id = Object.hasOwn(doc.nodes, node.id) || taken.has(node.id) ? newNodeId(doc.nodes, node.type, taken) : node.id;
      taken.add(id);
      names.set(node.id, id);
    }
    const places = nodes.map((node) => node.position ?? { x: 0, y: 0 });
    const corner = { x: Math.min(...places.map((p) => p.x)), y: Math.min(...places.map((p) => p.y)) };
    const start = freePlace(doc, at ?? { x: corner.x + 48, y: corner.y + 48 });
    const pairs = nodes.map((node, i) => {
      const position = { x: places[i].x - corner.x + start.x, y: places[i].y - corner.y + start.y };
      return [["nodes", names.get(node.id)], { ...renamed(node, names), id: names.get(node.id), position }];
    });
    pairs.push(...edges.map((edge) => wire(names.get(edge.source), edge.port, names.get(edge.target))));
    edits.edit(label, pairs);
    select([...names.values()]);
    return [...names.values()];
  }

  const duplicate = () => selectedNodes().length && insert(copied(), { label: "duplicate" });

  // `text` from the clipboard or a file: nodes copied here, or a whole workflow document. False when it is neither.
  function paste(text, options = {}) {
    let found;
    try {
      found = JSON.parse(text);
    } catch {
      return false;
    }
    const isOurs = found?.clip === CLIP || String(found?.schema ?? "").startsWith("opsloom/workflow@");
    const nodes = Array.isArray(found?.nodes) ? found.nodes.filter((node) => node?.id && node?.type) : [];
    if (!isOurs || !nodes.length) return false;
    const ids = new Set(nodes.map((node) => node.id));
    const edges = (found.edges ?? []).filter((edge) => ids.has(edge.source) && ids.has(edge.target));
    const inputs = newInputs(get().doc.inputs, found.inputs);
    if (inputs.length) edits.edit("paste", inputs);
    insert({ nodes, edges }, options);
    return true;
  }

  // Inputs of an imported workflow that this one does not have yet.
  function newInputs(own, found) {
    const fresh = Object.entries(found?.properties ?? {}).filter(([name]) => !own?.properties?.[name]);
    const pairs = fresh.map(([name, schema]) => [["inputs", "properties", name], schema]);
    const required = fresh.map(([name]) => name).filter((name) => found.required?.includes(name));
    if (required.length) pairs.push([["inputs", "required"], [...(own?.required ?? []), ...required]]);
    return pairs;
  }

  function toggle(ids = selectedNodes()) {
    const { doc } = get();
    const disable = ids.some((id) => !doc.nodes[id].disabled);
    edits.edit("toggle", ids.map((id) => [["nodes", id, "disabled"], disable ? true : null]));
  }

  // The ids of the steps that were moved.
  function tidyUp() {
    const chosen = selectedNodes();
    const { doc } = get();
    const ids = chosen.length > 1 ? chosen : Object.keys(doc.nodes);
    if (!ids.length) return ids;
    const ports = (node) => portsOf(node, get().types[node.type]);
    edits.edit("tidy", Object.entries(tidy(doc, ids, ports)).map(([id, at]) => [["nodes", id, "position"], at]));
    return ids;
  }

  const setField = (id, path, value, coalesce = true) => {
    const full = ["nodes", id, ...path];
    edits.edit("field", [[full, value ?? null]], { coalesce: coalesce ? full.join("\u0000") : null });
  };

  return {
    select, openNode, addNode, connect, reconnect, moved, nudge, remove, copyText, duplicate, paste, toggle, tidyUp,
    setField, selectedNodes, selectedEdges,
  };
}

// Expressions of copied nodes speak of the copies, not of the originals.
export function renamed(value, names) {
  if (typeof value === "string") {
    return value.replace(/\bsteps\.([a-z][a-z0-9_]*)/g, (all, id) => (names.has(id) ? `steps.${names.get(id)}` : all));
  }
  if (Array.isArray(value)) return value.map((item) => renamed(item, names));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, renamed(item, names)]));
}
