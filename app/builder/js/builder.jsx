// The builder: header, canvas, and one panel at its right.
import { useEffect, useMemo, useRef } from "react";
import { useParams } from "react-router";
import { ReactFlowProvider } from "@xyflow/react";
import "./builder.css";
import { createBuilder } from "./builder_state.js";
import { Canvas } from "./canvas.jsx";
import { Dialogs } from "./dialogs.jsx";
import { createClipboard, createFiles } from "./files.js";
import { BuilderHeader } from "./header.jsx";
import { Inspector } from "./inspector.jsx";
import { useKeys } from "./keys.js";
import { FindPanel, ProblemsPanel } from "./lists.jsx";
import { Palette } from "./palette.jsx";
import { PlanPanel, RunPanel } from "./runview.jsx";
import { notify, Skeleton, useText } from "./shared.js";
import { BuilderContext, useSelect } from "./store.js";
import { VersionsPanel } from "./versions.jsx";
import { WorkflowPanel } from "./workflow.jsx";

const PANELS = {
  steps: Palette, problems: ProblemsPanel, find: FindPanel, versions: VersionsPanel, workflow: WorkflowPanel, plan: PlanPanel, run: RunPanel,
};

function Side() {
  const panel = useSelect((s) => s.panel);
  const opened = useSelect((s) => Boolean(s.openNode && s.doc?.nodes[s.openNode]));
  if (opened) return <Inspector />;
  const Shown = PANELS[panel];
  return Shown ? <Shown key={panel} /> : null;
}

// What the builder wants to say in passing goes to the toasts of the frame.
function useNotes(store) {
  const text = useText();
  useEffect(() => {
    let last = {};
    return store.subscribe(() => {
      const { note, refusal, merged, restored } = store.get();
      if (note && note !== last.note) notify(note);
      if (refusal && refusal !== last.refusal) notify({ kind: "error", problem: refusal });
      if (merged && merged !== last.merged) notify({ kind: "info", key: "builder.merged", params: { by: merged.by || text("builder.somebody"), count: merged.changes.length } });
      if (restored && restored !== last.restored) notify({ kind: "info", key: "builder.restored", params: { count: restored } });
      last = { note, refusal, merged, restored };
    });
  }, [store, text]);
}

function Body({ files }) {
  const phase = useSelect((s) => s.phase);
  return (
    <div className="ob-root" tabIndex={-1} data-phase={phase}>
      <BuilderHeader files={files} />
      <div className="ob-body">
        {phase === "loading" ? <div className="ob-loading"><Skeleton rows={5} /></div> : <Canvas />}
        <Side />
      </div>
      <Dialogs />
    </div>
  );
}

// Another workflow is another builder: nothing of the one before stays.
export function Builder(props) {
  const { client, workflow } = useParams();
  return <OneBuilder key={`${client}/${workflow}`} {...props} />;
}

function OneBuilder({ inbox, icons, ...handlers }) {
  const { workflow } = useParams();
  const made = useRef(null);
  made.current ??= assembled(workflow);
  const builder = made.current;
  builder.icons = icons;
  builder.handlers.current = handlers;
  useEffect(() => builder.receive(inbox), [inbox]);
  useEffect(() => {
    document.addEventListener("paste", builder.clipboard.onPaste);
    const back = () => builder.edits.resend();
    const stay = (event) => builder.edits.unsafe() && event.preventDefault();
    window.addEventListener("online", back);
    window.addEventListener("beforeunload", stay);
    return () => {
      document.removeEventListener("paste", builder.clipboard.onPaste);
      window.removeEventListener("online", back);
      window.removeEventListener("beforeunload", stay);
      builder.send("onWatch", { run: null });
    };
  }, [builder]);
  useKeys(builder);
  useNotes(builder.store);
  const value = useMemo(() => builder, [builder]);
  return (
    <BuilderContext.Provider value={value}>
      <ReactFlowProvider>
        <Body files={builder.files} />
      </ReactFlowProvider>
    </BuilderContext.Provider>
  );
}

function assembled(workflow) {
  const builder = createBuilder(workflow);
  builder.sight = { fit() {}, begin() {}, zoomTo() {}, zoomBy() {}, show() {}, centre: () => ({ x: 0, y: 0 }) };
  builder.clipboard = createClipboard(builder);
  builder.files = createFiles(builder);
  return builder;
}
