// The builder's keys. None acts while somebody types; those that only look work for readers too.
import { useEffect } from "react";
import { isTyping, singleKeysOn } from "./shared.js";
import { downstream, upstream } from "./document.js";
import { GRID, portsOf } from "./view.js";

const mod = (event) => event.ctrlKey || event.metaKey;

// What the dialog of keys shows: [group, [[keys, text], ...]]
export const KEYS = [
  ["edit", [
    [["N"], "builder.add"], [["Enter"], "builder.open_step"], [["F2"], "builder.rename_step"], [["D"], "builder.disable"],
    [["Del"], "builder.delete"], [["Ctrl", "Z"], "builder.undo"], [["Ctrl", "Shift", "Z"], "builder.redo"],
  ]],
  ["clipboard", [
    [["Ctrl", "C"], "builder.copy"], [["Ctrl", "X"], "builder.cut_steps"], [["Ctrl", "V"], "builder.paste"],
    [["Ctrl", "D"], "builder.duplicate"], [["Ctrl", "A"], "builder.select_all"],
  ]],
  ["whole", [
    [["Ctrl", "S"], "builder.save_version"], [["Ctrl", "Enter"], "builder.run"], [["Ctrl", "Shift", "Enter"], "builder.plan"],
    [["Shift", "Alt", "T"], "builder.tidy"], [["Ctrl", "F"], "builder.find"], [["?"], "builder.keys"],
  ]],
  ["see", [
    [["1"], "builder.fit"], [["0"], "builder.zoom_reset"], [["+"], "builder.zoom_in"], [["-"], "builder.zoom_out"],
    [["←", "→", "↑", "↓"], "builder.go"], [["Shift", "←", "→"], "builder.select_stream"],
    [["Ctrl", "←", "→", "↑", "↓"], "builder.nudge"], [["Esc"], "builder.leave"],
  ]],
];

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// The neighbour one means by an arrow: along the wires sideways, by place up and down.
function neighbour(doc, id, [dx, dy]) {
  const at = (key) => doc.nodes[key].position ?? { x: 0, y: 0 };
  const here = at(id);
  const edges = Object.values(doc.edges);
  const linked = dx > 0 ? edges.filter((e) => e.source === id).map((e) => e.target) : edges.filter((e) => e.target === id).map((e) => e.source);
  if (dx && linked.length) return linked.sort((a, b) => at(a).y - at(b).y)[0];
  const ahead = Object.keys(doc.nodes).filter((key) => key !== id && (dx ? (at(key).x - here.x) * dx > 0 : (at(key).y - here.y) * dy > 0));
  const far = (key) => (dx ? Math.abs(at(key).x - here.x) + 3 * Math.abs(at(key).y - here.y) : Math.abs(at(key).y - here.y) + 3 * Math.abs(at(key).x - here.x));
  return ahead.sort((a, b) => far(a) - far(b))[0];
}

function walk(builder, direction, event) {
  const { store, actions, sight } = builder;
  const { doc, openNode } = store.get();
  const chosen = actions.selectedNodes();
  const from = chosen.at(-1) ?? openNode;
  if (!from || !doc.nodes[from]) {
    const first = Object.values(doc.nodes).sort((a, b) => (a.position?.x ?? 0) - (b.position?.x ?? 0))[0];
    if (first) actions.select([first.id]);
    return;
  }
  if (mod(event)) {
    actions.nudge(direction[0] * GRID, direction[1] * GRID);
  } else if (event.shiftKey && direction[0]) {
    actions.select([...new Set([...chosen, ...(direction[0] < 0 ? upstream : downstream)(doc, from)])]);
  } else {
    const next = neighbour(doc, from, direction);
    if (!next) return;
    actions.select([next]);
    if (openNode) store.set({ openNode: next });
    sight.show([next, from]);
  }
}

function single(builder, event) {
  const { store, actions, sight } = builder;
  const { canWrite } = store.get();
  const chosen = actions.selectedNodes();
  const jobs = {
    1: () => sight.fit(),
    0: () => sight.zoomTo(1),
    "+": () => sight.zoomBy(1),
    "=": () => sight.zoomBy(1),
    "-": () => sight.zoomBy(-1),
    "?": () => store.set({ dialog: { kind: "keys" } }),
  };
  if (canWrite) {
    jobs.n = () => {
      const last = chosen.length === 1 && firstFreePort(builder, chosen[0]);
      store.set({ panel: "steps", openNode: null, adding: last ? { from: last } : {} });
    };
    jobs.d = () => chosen.length && actions.toggle();
  }
  return jobs[event.key.toLowerCase()] ?? jobs[event.key];
}

function firstFreePort({ store }, id) {
  const { doc, types } = store.get();
  const ports = portsOf(doc.nodes[id], types[doc.nodes[id].type]);
  const taken = new Set(Object.values(doc.edges).filter((e) => e.source === id).map((e) => e.port || "next"));
  const free = ports.find((port) => !taken.has(port));
  return free ? { source: id, port: free } : null;
}

function combined(builder, event) {
  const { store, edits, actions, clipboard } = builder;
  const { canWrite, doc, permissions } = store.get();
  const key = event.key.toLowerCase();
  const jobs = { f: () => store.set({ panel: "find", openNode: null }), a: () => actions.select(Object.keys(doc.nodes), Object.keys(doc.edges)), c: clipboard.copy };
  if (canWrite) {
    jobs.z = () => (event.shiftKey ? edits.redo() : edits.undo());
    jobs.y = edits.redo;
    jobs.d = actions.duplicate;
    jobs.x = clipboard.cut;
    jobs.s = () => store.set({ dialog: { kind: "version" } });
  }
  if (event.shiftKey && permissions.has("run.plan")) jobs.enter = () => store.set({ dialog: { kind: "start", mode: "plan" } });
  else if (permissions.has("run.start")) jobs.enter = () => store.set({ dialog: { kind: "start", mode: "apply" } });
  return jobs[key];
}

function jobOf(builder, event) {
  const { store, actions, sight } = builder;
  const { canWrite } = store.get();
  const chosen = actions.selectedNodes();
  if (event.shiftKey && event.altKey && event.code === "KeyT") return canWrite ? () => sight.show(actions.tidyUp()) : null;
  if (DIRECTIONS[event.key]) return () => walk(builder, DIRECTIONS[event.key], event);
  if (mod(event)) return combined(builder, event);
  if (event.altKey) return null;
  if (event.key === "Enter") return chosen.length === 1 ? () => actions.openNode(chosen[0]) : null;
  if (event.key === "F2") return chosen.length === 1 ? () => { actions.openNode(chosen[0]); store.set({ renaming: true }); } : null;
  if (event.key === "Delete" || event.key === "Backspace") return canWrite ? () => actions.remove() : null;
  if (event.key === "Escape") return () => { actions.select([]); store.set({ openNode: null, panel: null, adding: null }); };
  return singleKeysOn() ? single(builder, event) : null;
}

export function useKeys(builder) {
  useEffect(() => {
    const onKeyDown = (event) => {
      const { phase, dialog, conflict } = builder.store.get();
      if (phase !== "ready" || event.defaultPrevented) return;
      // Saving is meant while typing too; everything else is not.
      const saving = mod(event) && event.key.toLowerCase() === "s";
      if (saving) event.preventDefault();
      if (dialog || (conflict && !conflict.later) || document.querySelector("[role=dialog], [role=menu]")) return;
      if (isTyping(event) && !saving) return;
      // A focused button keeps its Enter and Space, and a list its arrows.
      const inside = event.target.closest?.("button, a, [role=listbox], [role=tablist], .ob-panel");
      if (inside && (event.key === "Enter" || event.key === " " || DIRECTIONS[event.key]) && !mod(event)) return;
      if (mod(event) && event.key.toLowerCase() === "c" && String(window.getSelection())) return;
      const job = jobOf(builder, event);
      if (!job) return;
      event.preventDefault();
      job();
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, [builder]);
}
