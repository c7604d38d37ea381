// What floats over the canvas: zoom and tidy at the bottom left, adding at the top right, problems at the bottom.
import { useStore, Panel } from "@xyflow/react";
import { Maximize, ScanSearch, Workflow as Tidy, ZoomIn, ZoomOut } from "lucide-react";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";

function Tool({ label, keys, onClick, children, ...rest }) {
  const title = keys ? `${label} (${keys})` : label;
  return (
    <button type="button" className="ob-tool" onClick={onClick} title={title} aria-label={label} {...rest}>{children}</button>
  );
}

export function CanvasTools() {
  const text = useText();
  const { actions, sight, store } = useBuilder();
  const zoom = useStore((s) => Math.round(s.transform[2] * 100));
  const canWrite = useSelect((s) => s.canWrite);
  const empty = useSelect((s) => s.flow.nodes.length === 0);
  const shape = { size: 16, strokeWidth: 1.75, "aria-hidden": true };
  return (
    <>
      <Panel position="bottom-left" className="ob-tools">
        <Tool label={text("builder.fit")} keys="1" onClick={() => sight.fit()}><Maximize {...shape} /></Tool>
        <Tool label={text("builder.zoom_in")} keys="+" onClick={() => sight.zoomBy(1)}><ZoomIn {...shape} /></Tool>
        <Tool label={text("builder.zoom_out")} keys="-" onClick={() => sight.zoomBy(-1)}><ZoomOut {...shape} /></Tool>
        <button type="button" className="ob-tool ob-zoom os-figures" onClick={() => sight.zoomTo(1)} title={`${text("builder.zoom_reset")} (0)`}>{zoom} %</button>
        {canWrite ? <Tool label={text("builder.tidy")} keys="Shift+Alt+T" onClick={() => sight.show(actions.tidyUp())}><Tidy {...shape} /></Tool> : null}
      </Panel>
      <Panel position="top-right" className="ob-tools ob-tools-side">
        {canWrite ? <Tool label={text("builder.add")} keys="N" data-add="" onClick={() => store.set({ panel: "steps", openNode: null, adding: {} })}><Icon name="plus" size={18} /></Tool> : null}
        <Tool label={text("builder.find")} keys="Ctrl+F" onClick={() => store.set({ panel: "find", openNode: null })}><ScanSearch {...shape} /></Tool>
        <Tool label={text("builder.keys")} keys="?" data-tool="keys" onClick={() => store.set({ dialog: { kind: "keys" } })}><Icon name="keyboard" size={16} /></Tool>
      </Panel>
      <Problems />
      {empty ? <First /> : null}
    </>
  );
}

// How many things have to be mended, always in sight; a click lists them.
function Problems() {
  const text = useText();
  const { store } = useBuilder();
  const count = useSelect((s) => s.problems.filter((problem) => problem.severity !== "warning").length);
  const checked = useSelect((s) => s.checkedRevision > 0);
  const empty = useSelect((s) => s.flow.nodes.length === 0);
  if (!checked || empty) return null;
  const open = () => store.set((s) => ({ panel: s.panel === "problems" ? null : "problems", openNode: null }));
  return (
    <Panel position="bottom-center">
      <button type="button" className="ob-problems" data-colour={count ? "red" : "green"} onClick={open}>
        <Icon name={count ? "circle-alert" : "circle-check"} size={14} />
        {count ? text("builder.problems", { count }) : text("builder.no_problems")}
      </button>
    </Panel>
  );
}

function First() {
  const text = useText();
  const { store } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const ready = useSelect((s) => s.phase === "ready");
  if (!ready) return null;
  return (
    <div className="ob-first nopan">
      {canWrite ? (
        <button type="button" className="ob-first-add" onClick={() => store.set({ panel: "steps", adding: {} })}>
          <Icon name="plus" size={24} />
        </button>
      ) : null}
      <strong>{text(canWrite ? "builder.first" : "builder.nothing")}</strong>
      {canWrite ? <p>{text("builder.first_help")}</p> : null}
    </div>
  );
}
