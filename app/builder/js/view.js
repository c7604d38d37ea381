// What React Flow shows, derived from the document. A node that did not change keeps its object, so that one edit on a
// canvas of hundreds renders one card.
import { edgeKey } from "./document.js";

export const NODE_WIDTH = 224;
export const NODE_HEIGHT = 64;
export const GRID = 16;

export const snap = (value) => Math.round(value / GRID) * GRID;

function flowNode(node, old) {
  const x = node.position?.x ?? 0;
  const y = node.position?.y ?? 0;
  if (old && (old.dragging || (old.position.x === x && old.position.y === y))) return old;
  const fresh = { id: node.id, type: "step", data: {}, initialWidth: NODE_WIDTH, initialHeight: NODE_HEIGHT };
  return { ...fresh, ...old, position: { x, y } };
}

function flowEdge(key, edge, old) {
  if (old) return old;
  const port = edge.port || "next";
  // React Flow would read it out in English.
  const ariaLabel = `${edge.source} → ${edge.target}`;
  return { id: key, type: "wire", ariaLabel, source: edge.source, target: edge.target, sourceHandle: port, targetHandle: "in" };
}

export function flowFrom(doc, flow) {
  const oldNodes = new Map(flow.nodes.map((node) => [node.id, node]));
  const oldEdges = new Map(flow.edges.map((edge) => [edge.id, edge]));
  const nodes = Object.values(doc.nodes).map((node) => flowNode(node, oldNodes.get(node.id)));
  const edges = Object.values(doc.edges).map((edge) => flowEdge(edgeKey(edge), edge, oldEdges.get(edgeKey(edge))));
  const unchanged = (now, before) => now.length === before.length && now.every((item, i) => item === before[i]);
  return {
    nodes: unchanged(nodes, flow.nodes) ? flow.nodes : nodes,
    edges: unchanged(edges, flow.edges) ? flow.edges : edges,
  };
}

export const withSelection = (flow, nodeIds, edgeIds = new Set()) => {
  const mark = (item, selected) => ((item.selected ?? false) === selected ? item : { ...item, selected });
  return {
    nodes: flow.nodes.map((node) => mark(node, nodeIds.has(node.id))),
    edges: flow.edges.map((edge) => mark(edge, edgeIds.has(edge.id))),
  };
};

// Steps that have others inside. A sub-workflow's are drawn where it is.
export const holdsSteps = (info) => Boolean(info?.body) && info.body !== "workflow";
export const stepsInside = (node) => node.body?.nodes?.length ?? 0;
export const insideInWords = (node, text) => {
  const count = stepsInside(node);
  return count ? text("builder.inside", { count }) : text("builder.inside_none");
};

// The ports a node offers: those that it names itself, those of its type, and one for errors where they are to be
// branched on.
export function portsOf(node, info) {
  const cases = info?.ports_from && Array.isArray(node.params?.[info.ports_from]) ? node.params[info.ports_from] : [];
  const own = cases.map((one) => one?.name).filter((name) => typeof name === "string" && name);
  const ports = [...new Set([...own, ...(info?.ports?.length ? info.ports : ["next"])])];
  return node.on_error === "branch" && !ports.includes("error") ? [...ports, "error"] : ports;
}
