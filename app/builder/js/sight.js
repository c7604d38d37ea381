// Where the canvas looks. Places are computed from the document and from the room that the canvas has beside the panel,
// so the first picture is the right one and nothing waits for React Flow to measure.
import { NODE_HEIGHT, NODE_WIDTH } from "./view.js";

// Room for what floats over the canvas.
const MARGIN = { left: 40, top: 40, right: 64, bottom: 72 };
// Opening a long workflow shows its beginning in a size that can be read, rather than all of it in one that cannot.
const LEGIBLE = 0.8;
const SMALLEST = 0.04;

export function bounds(nodes) {
  const xs = nodes.map((node) => node.position.x);
  const ys = nodes.map((node) => node.position.y);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) + NODE_WIDTH - x, height: Math.max(...ys) + NODE_HEIGHT - y };
}

const room = (box) => ({
  width: Math.max(box.width - MARGIN.left - MARGIN.right, 80),
  height: Math.max(box.height - MARGIN.top - MARGIN.bottom, 80),
});

const fitting = (area, { width, height }) => Math.min(width / area.width, height / area.height);

function centred(area, box, zoom) {
  const { width, height } = room(box);
  return {
    x: MARGIN.left + width / 2 - (area.x + area.width / 2) * zoom,
    y: MARGIN.top + height / 2 - (area.y + area.height / 2) * zoom,
    zoom,
  };
}

// All of `nodes`, however small they get.
export function overview(nodes, box) {
  const area = bounds(nodes);
  return centred(area, box, Math.max(SMALLEST, Math.min(1, fitting(area, room(box)))));
}

// All of `nodes` where they can be read then, else where they begin.
export function beginning(nodes, box) {
  if (!nodes.length) return { x: 0, y: 0, zoom: 1 };
  const area = bounds(nodes);
  const zoom = Math.min(1, fitting(area, room(box)));
  if (zoom >= LEGIBLE) return centred(area, box, zoom);
  const { width, height } = room(box);
  const middle = centred(area, box, LEGIBLE);
  const first = nodes.reduce((left, node) => (node.position.x < left.position.x ? node : left));
  const left = MARGIN.left - area.x * LEGIBLE;
  const level = Math.min(centred(bounds([first]), box, LEGIBLE).y, MARGIN.top - area.y * LEGIBLE);
  return {
    x: area.width * LEGIBLE > width ? left : middle.x,
    y: area.height * LEGIBLE > height ? level : middle.y,
    zoom: LEGIBLE,
  };
}

// The present view where it shows all of `nodes`; otherwise they are moved into sight, smaller only where they must be.
export function including(nodes, box, view) {
  const area = bounds(nodes);
  const left = area.x * view.zoom + view.x;
  const top = area.y * view.zoom + view.y;
  const seen = left >= 8 && top >= 8 && left + area.width * view.zoom <= box.width - MARGIN.right &&
    top + area.height * view.zoom <= box.height - 8;
  if (seen && view.zoom >= 0.5) return view;
  const zoom = Math.min(Math.max(view.zoom, LEGIBLE), 1, fitting(area, room(box)));
  return zoom < 0.5 ? centred(bounds(nodes.slice(0, 1)), box, LEGIBLE) : centred(area, box, zoom);
}

const still = () => window.matchMedia?.("(prefers-reduced-motion: reduce)").matches;
const canvasBox = () => document.querySelector(".ob-canvas")?.getBoundingClientRect();

// `flow` is React Flow's instance, `nodesNow` gives its nodes. Each waits for the frame in which a panel that was just
// opened or closed has taken or left its room.
export function createSight(flow, nodesNow) {
  const motion = () => ({ duration: still() ? 0 : 150 });
  const look = (choose) => requestAnimationFrame(() => {
    const box = canvasBox();
    const view = box?.width ? choose(box) : null;
    if (view) flow.setViewport(view, motion());
  });
  const chosen = (ids) => ids.map((id) => nodesNow().find((node) => node.id === id)).filter(Boolean);
  return {
    fit: () => look((box) => nodesNow().length && overview(nodesNow(), box)),
    begin: () => look((box) => beginning(nodesNow(), box)),
    show: (ids) => look((box) => {
      const now = flow.getViewport();
      const next = chosen(ids).length ? including(chosen(ids), box, now) : now;
      return next === now ? null : next;
    }),
    zoomTo: (zoom) => flow.zoomTo(zoom, motion()),
    zoomBy: (by) => (by > 0 ? flow.zoomIn(motion()) : flow.zoomOut(motion())),
    centre: () => {
      const box = canvasBox();
      return box ? flow.screenToFlowPosition({ x: box.x + box.width / 2, y: box.y + box.height / 2 }) : { x: 0, y: 0 };
    },
  };
}
