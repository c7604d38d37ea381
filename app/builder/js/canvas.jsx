// The canvas: React Flow over the builder's store. Dragging stays here; what comes of it is an operation.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import {
  applyEdgeChanges, applyNodeChanges, Background, ConnectionMode, MiniMap, ReactFlow, SelectionMode, useReactFlow,
} from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { useTheme } from "$/utils/react-theme";
import { StepNode } from "./node.jsx";
import { useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";
import { CanvasTools } from "./tools.jsx";
import { downstream } from "./document.js";
import { beginning, createSight } from "./sight.js";
import { GRID, NODE_HEIGHT, NODE_WIDTH } from "./view.js";
import { ConnectionWire, Wire } from "./wire.jsx";

const NODE_TYPES = { step: StepNode };
const EDGE_TYPES = { wire: Wire };
const SNAP = [GRID, GRID];
const PAN_WITH = [1, 2];
export const DRAGGED = "application/x-opsloom-step";
// A map helps from this many steps on.
const MAPPED = 6;

// Changes of React Flow (selection, size, position while dragging) go to the view; removals are operations elsewhere.
function useChanges() {
  const { store } = useBuilder();
  const onNodesChange = useCallback((changes) => {
    const kept = changes.filter((change) => change.type !== "remove" && change.type !== "add");
    if (kept.length) store.set((s) => ({ flow: { ...s.flow, nodes: applyNodeChanges(kept, s.flow.nodes) } }));
  }, []);
  const onEdgesChange = useCallback((changes) => {
    const kept = changes.filter((change) => change.type === "select");
    if (kept.length) store.set((s) => ({ flow: { ...s.flow, edges: applyEdgeChanges(kept, s.flow.edges) } }));
  }, []);
  return { onNodesChange, onEdgesChange };
}

function useDrops() {
  const { actions, store } = useBuilder();
  const { screenToFlowPosition } = useReactFlow();
  const onDragOver = useCallback((event) => {
    if (!event.dataTransfer.types.includes(DRAGGED)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
  }, []);
  const onDrop = useCallback((event) => {
    const type = event.dataTransfer.getData(DRAGGED);
    if (!type) return;
    event.preventDefault();
    const at = screenToFlowPosition({ x: event.clientX, y: event.clientY });
    actions.addNode(type, { at: { x: at.x - NODE_WIDTH / 2, y: at.y - NODE_HEIGHT / 2 }, ...wireOf(event, store) });
  }, []);
  return { onDragOver, onDrop };
}

// A step dropped on a wire goes between its ends.
function wireOf(event) {
  const under = document.elementsFromPoint(event.clientX, event.clientY);
  const edge = under.map((element) => element.closest?.(".react-flow__edge")).find(Boolean);
  return edge ? { edge: edge.dataset.id } : {};
}

function useConnecting() {
  const { actions, store } = useBuilder();
  const { screenToFlowPosition } = useReactFlow();
  const reconnected = useRef(false);
  const isValidConnection = useCallback(({ source, target }) => {
    const { doc } = store.get();
    return source !== target && !downstream(doc, target).has(source);
  }, []);
  const onConnectEnd = useCallback((event, state) => {
    if (reconnected.current || state.toNode || state.fromHandle?.type !== "source") return;
    const point = event.changedTouches?.[0] ?? event;
    const at = screenToFlowPosition({ x: point.clientX, y: point.clientY });
    const from = { source: state.fromNode.id, port: state.fromHandle.id };
    store.set({ panel: "steps", openNode: null, adding: { from, at: { x: at.x, y: at.y - NODE_HEIGHT / 2 } } });
  }, []);
  const onReconnectStart = useCallback(() => { reconnected.current = true; }, []);
  const onReconnect = useCallback((old, connection) => actions.reconnect(old.id, connection), []);
  const onReconnectEnd = useCallback((event, edge, handle, state) => {
    reconnected.current = false;
    if (!state?.toHandle) actions.remove([], [edge.id]);
  }, []);
  return { isValidConnection, onConnect: actions.connect, onConnectEnd, onReconnectStart, onReconnect, onReconnectEnd };
}

// What others ask of the view, and that the panel which opens does not hide the step that it speaks of.
function useSight() {
  const flow = useReactFlow();
  const { store, sight } = useBuilder();
  useEffect(() => { Object.assign(sight, createSight(flow, () => store.get().flow.nodes)); }, [flow]);
  const opened = useSelect((s) => s.openNode);
  useEffect(() => { if (opened) sight.show([opened]); }, [opened]);
}

function useMiniMapColour() {
  const { store } = useBuilder();
  return useCallback((node) => {
    const { run, problems } = store.get();
    const state = run?.nodes[node.id]?.state;
    if (state && state !== "pending") return `var(--ob-${state}, var(--gray-7))`;
    return problems.some((problem) => problem.node === node.id) ? "var(--red-9)" : "var(--gray-7)";
  }, []);
}

// The room is measured before React Flow is there, so that it begins with the view that it keeps.
export function Canvas() {
  const { store } = useBuilder();
  const place = useRef(null);
  const [start, setStart] = useState(null);
  useLayoutEffect(() => setStart(beginning(store.get().flow.nodes, place.current.getBoundingClientRect())), []);
  return <div className="ob-canvas" ref={place}>{start ? <Drawing start={start} /> : null}</div>;
}

// What React Flow reads out, which is English where it is not told otherwise.
const labelsIn = (text) => ({
  "controls.ariaLabel": text("builder.zoom"),
  "minimap.ariaLabel": text("builder.minimap"),
  "handle.ariaLabel": text("builder.handle"),
  "node.a11yDescription.default": text("builder.node_help"),
  "node.a11yDescription.keyboardDisabled": text("builder.node_help"),
  "edge.a11yDescription.default": text("builder.edge_help"),
});

function Drawing({ start }) {
  const text = useText();
  const { store, actions } = useBuilder();
  const nodes = useSelect((s) => s.flow.nodes);
  const edges = useSelect((s) => s.flow.edges);
  const canWrite = useSelect((s) => s.canWrite);
  const changes = useChanges();
  const drops = useDrops();
  const connecting = useConnecting();
  const colour = useMiniMapColour();
  // React Flow names itself light or dark, and that name decides the scales of every colour inside.
  const { resolvedTheme } = useTheme();
  useSight();
  const [spaced, setSpaced] = useState(false);
  useEffect(() => watchSpace(setSpaced), []);
  const onNodeDragStop = useCallback((event, node, dragged) => actions.moved(dragged.map((one) => one.id)), []);
  const onNodeClick = useCallback((event, node) => {
    if (!event.shiftKey && !event.ctrlKey && !event.metaKey) store.set({ openNode: node.id, adding: null });
  }, []);
  const onPaneClick = useCallback(() => store.set({ openNode: null, adding: null }), []);
  const labels = useMemo(() => labelsIn(text), [text]);
  return (
    <div className="ob-drawing" data-panning={spaced}>
      <ReactFlow
        defaultViewport={start}
        colorMode={resolvedTheme === "dark" ? "dark" : "light"}
        {...{ nodes, edges, ...changes, ...drops, ...connecting, onNodeDragStop, onNodeClick, onPaneClick }}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        connectionLineComponent={ConnectionWire}
        connectionMode={ConnectionMode.Strict}
        connectionRadius={32}
        nodesDraggable={canWrite}
        nodesConnectable={canWrite}
        edgesReconnectable={canWrite}
        deleteKeyCode={null}
        selectionKeyCode="Shift"
        multiSelectionKeyCode={["Shift", "Control", "Meta"]}
        selectionMode={SelectionMode.Partial}
        selectionOnDrag={false}
        panOnDrag={spaced ? [0, 1, 2] : [0, ...PAN_WITH]}
        panOnScroll
        snapToGrid
        snapGrid={SNAP}
        minZoom={0.04}
        maxZoom={2}
        onlyRenderVisibleElements={nodes.length > 150}
        elevateNodesOnSelect
        ariaLabelConfig={labels}
        proOptions={{ hideAttribution: true }}
        disableKeyboardA11y
      >
        <Background gap={GRID} size={1.25} color="var(--ob-dot)" />
        {nodes.length >= MAPPED ? (
          <MiniMap className="ob-minimap" pannable zoomable nodeColor={colour} nodeBorderRadius={10} ariaLabel={text("builder.minimap")} />
        ) : null}
        <CanvasTools />
      </ReactFlow>
    </div>
  );
}

function watchSpace(set) {
  const down = (event) => event.code === "Space" && event.target === document.body && set(true);
  const up = (event) => event.code === "Space" && set(false);
  window.addEventListener("keydown", down);
  window.addEventListener("keyup", up);
  return () => {
    window.removeEventListener("keydown", down);
    window.removeEventListener("keyup", up);
  };
}
