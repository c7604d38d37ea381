// A step on the canvas: icon, name, type and connection, with a ring that tells its state and badges for what matters.
import { memo } from "react";
import { Handle, Position } from "@xyflow/react";
import { Icon, useText } from "./shared.js";
import { StepIcon } from "./step_icon.jsx";
import { useBuilder, useSelect } from "./store.js";
import { errorsIn, plannedOf, problemsIn, takenPorts } from "./derive.js";
import { holdsSteps, insideInWords, portsOf, stepsInside } from "./view.js";

const SIGNS = { create: "+", update: "~", delete: "−", unknown: "?" };
const RUN_ICONS = {
  running: "loader", waiting: "hourglass", succeeded: "check", failed: "x", skipped: "minus", cancelled: "circle-slash",
  unknown: "help",
};

// The order in which states show: unknown type, disabled, run error, validation error, live run, dirty, done.
export function standing(state, id) {
  const node = state.doc?.nodes[id];
  if (!node) return { ring: "idle" };
  const step = state.run?.nodes[id];
  const problems = problemsIn(state, id);
  const errors = errorsIn(problems);
  if (!state.types[node.type]) return { ring: "unknown_type", step, problems };
  if (node.disabled) return { ring: "disabled", step, problems };
  if (step?.state === "failed") return { ring: "failed", step, problems };
  if (errors.length) return { ring: "invalid", step, problems };
  if (step && state.run.mode !== "plan" && step.state !== "pending") {
    return { ring: step.state === "succeeded" && state.dirty?.has(id) ? "dirty" : step.state, step, problems };
  }
  return { ring: "idle", step, problems };
}

const NONE = [];

const viewOf = (id) => (state) => {
  const node = state.doc?.nodes[id];
  const planned = plannedOf(state, id);
  const { ring, step, problems } = standing(state, id);
  return {
    node, info: state.types[node?.type], ring, problems: problems ?? NONE, change: step?.change ?? planned?.change ?? null,
    maybe: planned?.maybe ?? false, planProblem: planned?.problem ?? null, attempt: step?.attempt, error: step?.error,
    connection: state.connections.find((row) => row.alias === node?.connection), canWrite: state.canWrite,
    planning: state.run?.mode === "plan" && state.run.state === "running",
  };
};

const shallow = (a, b) => Object.keys(a).every((key) => a[key] === b[key]);

export const titleOf = (node, info, text) => node.name || (info ? text.pick(info.title) : node.type);

function Port({ id, port, index, count, alone, connectable }) {
  const text = useText();
  const { store } = useBuilder();
  const taken = useSelect((s) => takenPorts(s.doc?.edges).has(`${id}|${port}`));
  const top = `${((index + 1) * 100) / (count + 1)}%`;
  const add = (event) => {
    event.stopPropagation();
    store.set({ panel: "steps", openNode: null, adding: { from: { source: id, port } } });
  };
  return (
    <>
      <Handle type="source" position={Position.Right} id={port} style={{ top }} className="ob-port" data-port={port}
        aria-label={text("builder.port", { port: portName(port, text) })} />
      {alone ? null : <span className="ob-port-label" style={{ top }} data-port={port}>{portName(port, text)}</span>}
      {taken || !connectable ? null : (
        <button type="button" className="ob-plus nodrag nopan" style={{ top }} onClick={add} data-labelled={!alone}
          tabIndex={-1} title={text("builder.add_after")} aria-label={text("builder.add_after")}>
          <Icon name="plus" size={12} />
        </button>
      )}
    </>
  );
}

export const portName = (port, text) => (text.has(`builder.port.${port}`) ? text(`builder.port.${port}`) : port);

function Badges({ change, maybe, problems, planProblem, info, ring, attempt }) {
  const text = useText();
  const errors = errorsIn(problems);
  const sign = change && SIGNS[change.kind];
  return (
    <div className="ob-badges">
      {sign ? (
        <span className="ob-change" data-kind={change.kind} title={text(`builder.change.${change.kind}`)}>
          {sign}{maybe ? <small>{text("builder.maybe")}</small> : null}
        </span>
      ) : null}
      {change?.kind === "none" ? <span className="ob-change" data-kind="none" title={text("builder.change.none")}>=</span> : null}
      {planProblem ? <span className="ob-flag" data-colour="red" title={text.say(planProblem)}><Icon name="triangle-alert" size={12} /></span> : null}
      {problems.length ? (
        <span className="ob-flag" data-colour={errors.length ? "red" : "amber"} title={problems.map((p) => text.say(p)).join("\n")}>
          <Icon name="circle-alert" size={12} />{problems.length > 1 ? problems.length : null}
        </span>
      ) : null}
      {RUN_ICONS[ring] ? (
        <span className="ob-flag" data-state={ring} title={text(`state.${ring}`)}>
          <Icon name={RUN_ICONS[ring]} size={12} data-moving={ring === "running"} />{attempt > 1 ? attempt : null}
        </span>
      ) : null}
      {ring === "dirty" ? <span className="ob-flag" data-colour="amber" title={text("builder.dirty_help")}><Icon name="pencil" size={11} /></span> : null}
    </div>
  );
}

function Below({ node, info, connection }) {
  const text = useText();
  const irreversible = info && info.effect === "write" && !info.reversible;
  return (
    <div className="ob-below">
      {irreversible ? <span className="ob-irreversible" title={text.pick(info.irreversible_reason)}>{text("builder.irreversible")}</span> : null}
      {holdsSteps(info) ? <span className="ob-inside" data-empty={!stepsInside(node)}>{insideInWords(node, text)}</span> : null}
      {node.on_error && node.on_error !== "stop" ? <Icon name="shield" size={11} /> : null}
      {node.retry?.attempts > 1 ? <Icon name="repeat" size={11} /> : null}
      {node.notes ? <span title={node.notes}><Icon name="file-text" size={11} /></span> : null}
    </div>
  );
}

function HoverBar({ id, disabled }) {
  const text = useText();
  const { actions, store } = useBuilder();
  const canPlan = useSelect((s) => s.permissions.has("run.plan"));
  const act = (job) => (event) => { event.stopPropagation(); job(); };
  const button = (icon, key, job) => (
    <button type="button" tabIndex={-1} title={text(key)} aria-label={text(key)} onClick={act(job)}><Icon name={icon} size={13} /></button>
  );
  return (
    <div className="ob-hover nodrag nopan">
      {canPlan ? button("play", "builder.try_step", () => store.set({ dialog: { kind: "start", mode: "plan", node: id } })) : null}
      {button("power", disabled ? "builder.enable" : "builder.disable", () => actions.toggle([id]))}
      {button("copy", "builder.duplicate", () => { actions.select([id]); actions.duplicate(); })}
      {button("trash", "builder.delete", () => actions.remove([id], []))}
    </div>
  );
}

export const StepNode = memo(function StepNode({ id, selected, isConnectable }) {
  const text = useText();
  const view = useSelect(viewOf(id), shallow);
  const { node, info, ring, canWrite, connection } = view;
  if (!node) return null;
  const ports = portsOf(node, info);
  const title = titleOf(node, info, text);
  const connectable = isConnectable && canWrite;
  const kind = info ? text.pick(info.title) : text("builder.unknown_type", { type: node.type });
  return (
    <div className="ob-node" data-ring={ring} data-selected={selected} data-node={id} data-effect={info?.effect}
      data-planning={view.planning} aria-label={title}>
      {canWrite ? <HoverBar id={id} disabled={node.disabled} /> : null}
      <Handle type="target" position={Position.Left} id="in" className="ob-in" aria-label={text("builder.port_in")} />
      <span className="ob-icon" data-category={info?.category}><StepIcon info={info} size={20} /></span>
      <span className="ob-words">
        <strong className="os-truncate">{title}</strong>
        <small className="os-truncate">
          {node.name ? kind : info ? categoryLine(info, connection, node, text) : kind}
        </small>
      </span>
      <Badges {...view} />
      <Below node={node} info={info} connection={connection} />
      {ports.map((port, index) => (
        <Port key={port} {...{ id, port, index, connectable }} count={ports.length} alone={ports.length === 1 && port === "next"} />
      ))}
    </div>
  );
});

function categoryLine(info, connection, node, text) {
  if (info.connection) return connection?.name || node.connection || info.connection;
  return text.has(`builder.category.${info.category}`) ? text(`builder.category.${info.category}`) : info.category;
}
