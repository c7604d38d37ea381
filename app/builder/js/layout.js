// Tidying: layers from left to right, so that every wire points the same way.
import dagre from "@dagrejs/dagre";
import { NODE_HEIGHT, NODE_WIDTH, snap } from "./view.js";

// From one step to the next, with room for the names of ports.
export const STEP = NODE_WIDTH + 96;

const RANKSEP = 88;
// What stands between a step and the next beside the name of a port: its dot, the sign for adding, the arrow.
const BESIDE_NAME = 56;
const LETTER = 6.2;
// As builder.css cuts longer names off.
const LONGEST_NAME = 150;

// The room that the names of a step's ports need beyond what steps have between them anyhow. Names are measured as the
// document has them: where steps stand must not depend on the language of whoever tidies. A lone way out has no name.
export const roomForNames = (ports) => {
  const names = ports.length === 1 && ports[0] === "next" ? [] : ports;
  const widest = Math.min(LONGEST_NAME, Math.max(0, ...names.map((name) => name.length * LETTER)));
  return widest ? Math.max(0, Math.ceil(widest + BESIDE_NAME - RANKSEP)) : 0;
};

// Positions by id for `ids`. A part that is tidied stays where its top left corner was.
// `portsOf` gives a node's ways out in their order: branches are drawn in it, from the top.
export function tidy(doc, ids, portsOf) {
  const chosen = new Set(ids);
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 48, ranksep: RANKSEP, marginx: 0, marginy: 0 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of inOrder(doc, ids, portsOf)) graph.setNode(id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  const wires = [];
  for (const [key, edge] of Object.entries(doc.edges)) {
    if (chosen.has(edge.source) && chosen.has(edge.target)) wires.push([edge, key]);
  }
  const rank = new Map(graph.nodes().map((id, index) => [id, index]));
  wires.sort(([a], [b]) => rank.get(a.source) - rank.get(b.source) || rank.get(a.target) - rank.get(b.target));
  for (const [edge, key] of wires) {
    graph.setEdge(edge.source, edge.target, { width: roomForNames(portsOf(doc.nodes[edge.source])), height: 1, labelpos: "c" }, key);
  }
  dagre.layout(graph);
  const placed = ids.map((id) => [id, graph.node(id)]);
  const left = Math.min(...placed.map(([, at]) => at.x));
  const top = Math.min(...placed.map(([, at]) => at.y));
  const originX = Math.min(...ids.map((id) => doc.nodes[id].position?.x ?? 0));
  const originY = Math.min(...ids.map((id) => doc.nodes[id].position?.y ?? 0));
  const place = (at) => ({ x: snap(at.x - left + originX), y: snap(at.y - top + originY) });
  return Object.fromEntries(placed.map(([id, at]) => [id, place(at)]));
}

// Depth first along the ports: the layout starts from this order and keeps it where it can.
function inOrder(doc, ids, portsOf) {
  const out = {};
  const incoming = new Set();
  for (const edge of Object.values(doc.edges)) {
    (out[edge.source] ??= []).push(edge);
    incoming.add(edge.target);
  }
  const found = new Set();
  const walk = (id) => {
    if (found.has(id) || !doc.nodes[id]) return;
    found.add(id);
    const ports = portsOf(doc.nodes[id]);
    const place = (edge) => ports.indexOf(edge.port || "next");
    for (const edge of [...(out[id] ?? [])].sort((a, b) => place(a) - place(b))) walk(edge.target);
  };
  for (const id of Object.keys(doc.nodes).filter((key) => !incoming.has(key))) walk(id);
  for (const id of ids) walk(id);
  const chosen = new Set(ids);
  return [...found].filter((id) => chosen.has(id));
}

// A free place for a new node to the right of `source`, below what already stands there.
export function placeAfter(doc, source) {
  const from = doc.nodes[source]?.position ?? { x: 0, y: 0 };
  return freePlace(doc, { x: from.x + STEP, y: from.y });
}

export function freePlace(doc, wanted) {
  const taken = Object.values(doc.nodes).map((node) => node.position ?? { x: 0, y: 0 });
  const place = { x: snap(wanted.x), y: snap(wanted.y) };
  const blocked = () =>
    taken.some((at) => Math.abs(at.x - place.x) < NODE_WIDTH && Math.abs(at.y - place.y) < NODE_HEIGHT + 16);
  while (blocked()) place.y += NODE_HEIGHT + 48;
  return place;
}
