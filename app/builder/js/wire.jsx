// A wire between two steps: what passes by it in a run is coloured, and in its middle a step can be put or it be cut.
import { memo } from "react";
import { BaseEdge, EdgeLabelRenderer, getBezierPath } from "@xyflow/react";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";

// Whether a run went this way: "taken", "not" or nothing yet.
const passed = (source, port) => (state) => {
  const step = state.run?.mode === "apply" ? state.run.nodes[source] : null;
  if (!step || !["succeeded", "failed", "skipped"].includes(step.state)) return "none";
  if (step.state === "skipped") return "not";
  const taken = step.port ?? (step.state === "failed" ? "error" : "next");
  return taken === port ? "taken" : "not";
};

export const Wire = memo(function Wire(props) {
  const { id, source, sourceHandleId, selected, sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition } = props;
  const text = useText();
  const { actions, store } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const way = useSelect(passed(source, sourceHandleId));
  const [path, x, y] = getBezierPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition });
  const between = () => store.set({ panel: "steps", openNode: null, adding: { edge: id } });
  return (
    <>
      <BaseEdge id={id} path={path} interactionWidth={22} className="ob-wire" data-way={way} data-selected={selected} data-port={sourceHandleId} />
      {canWrite ? (
        <EdgeLabelRenderer>
          <div className="ob-wire-bar nodrag nopan" data-selected={selected} data-wire={id}
            style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}>
            <button type="button" tabIndex={-1} onClick={between} title={text("builder.add_between")} aria-label={text("builder.add_between")}><Icon name="plus" size={12} /></button>
            <button type="button" tabIndex={-1} onClick={() => actions.remove([], [id])} title={text("builder.cut")} aria-label={text("builder.cut")}><Icon name="trash" size={12} /></button>
          </div>
        </EdgeLabelRenderer>
      ) : null}
    </>
  );
});

export function ConnectionWire({ fromX, fromY, toX, toY, fromPosition, toPosition, connectionStatus }) {
  const [path] = getBezierPath({ sourceX: fromX, sourceY: fromY, targetX: toX, targetY: toY, sourcePosition: fromPosition, targetPosition: toPosition });
  return <path d={path} className="ob-wire ob-wire-new" data-status={connectionStatus} fill="none" />;
}
