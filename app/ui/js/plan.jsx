// The plan, read like Terraform's: counts, then each step's change; what cannot be undone comes first.
import { useState } from "react";
import { Tag } from "./badges.jsx";
import { ChangeFields, linesOf, Value } from "./change.jsx";
import { notify } from "./feedback.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { COLOURS, CountLine, countsInWords, countsOf, SIGNS } from "./plan_counts.jsx";

const writes = ({ change }) => Boolean(change) && change.kind !== "none";
const isFinal = (step) => writes(step) && step.change.reversible === false;
const rank = (step) => (step.problem ? 0 : isFinal(step) ? 1 : writes(step) ? 2 : 3);

// What is still to be done comes first: a question in the midst of a run is about that.
function ordered(steps, done = []) {
  return steps
    .map((step, index) => ({ step, index }))
    .filter(({ step }) => step.change || step.problem)
    .sort(
      (one, other) =>
        done.includes(one.step.node) - done.includes(other.step.node) || rank(one.step) - rank(other.step) || one.index - other.index,
    )
    .map(({ step }) => step);
}

const asWords = (value, text) =>
  value && typeof value === "object" && "$unknown" in value ? text("plan.known_after") : JSON.stringify(value ?? null);

/** The plan as text, for a ticket; `partial`: these are not all of its steps. */
export function planAsText(steps, counts, text, partial = false) {
  const lines = ordered(steps).flatMap((step) => {
    const { change, problem } = step;
    const head = `${problem ? "!" : SIGNS[change.kind]} ${step.name || step.node}: ${change?.target ?? ""}`;
    const fields = change
      ? linesOf(change)
          .filter((line) => line.kind !== "none")
          .map((line) => `    ${SIGNS[line.kind]} ${line.path}: ${line.kind === "update" ? `${asWords(line.before, text)} → ` : ""}${asWords(line.kind === "delete" ? line.before : line.after, text)}`)
      : [`    ${text.say(problem)}`];
    const final = isFinal(step) ? [`    ! ${text("plan.irreversible")}`] : [];
    return [head, ...fields, ...final];
  });
  return [countsInWords(counts, text), "", ...lines, ...(partial ? ["", text("plan.left_out")] : [])].join("\n");
}

// A step without a name of its own is called by its type.
const nameOf = (step, types, text) =>
  step.name && step.name !== step.node ? step.name : types[step.type] ? text.pick(types[step.type].title) : step.node;

function Step({ step, types, done, open, onToggle }) {
  const text = useText();
  const { change, problem } = step;
  const kind = problem ? "delete" : change.kind;
  return (
    <li className="os-plan-step" data-node={step.node}>
      <button type="button" className="os-plan-head" aria-expanded={open} onClick={onToggle} disabled={!change}>
        <b className="os-sign" data-colour={COLOURS[kind]}>
          {problem ? "!" : SIGNS[kind]}
        </b>
        <span className="os-plan-words">
          <span className="os-wrap">{nameOf(step, types, text)}</span>
          <span className="os-muted os-wrap">{change?.label || change?.target}</span>
        </span>
        {done ? (
          <Tag colour="green" icon="check">
            {text("plan.done")}
          </Tag>
        ) : null}
        {step.maybe && !done ? <Tag icon="split">{text("plan.maybe")}</Tag> : null}
        {isFinal(step) ? (
          <Tag colour="orange" icon="triangle-alert">
            {text("plan.irreversible_short")}
          </Tag>
        ) : null}
        {change ? <Icon name={open ? "chevron-up" : "chevron-down"} size={14} /> : null}
      </button>
      {problem ? (
        <p className="os-error">
          <Icon name="circle-alert" size={12} />
          <span>{text.say(problem)}</span>
        </p>
      ) : null}
      {step.drift ? <Drift drift={step.drift} /> : null}
      {open && change ? <ChangeFields change={change} fields={types[step.type]?.fields} /> : null}
    </li>
  );
}

// For an undo: what is no longer as the run left it.
function Drift({ drift }) {
  const text = useText();
  return (
    <div className="os-callout" data-colour="amber">
      <Icon name="triangle-alert" size={14} />
      <div>
        <p>{text("plan.drift")}</p>
        <ul className="os-plain-list">
          {Object.entries(drift).map(([field, sides]) => (
            <li key={field} className="os-wrap">
              <span className="os-mono">{field}</span>: <Value value={sides.expected} /> → <Value value={sides.found} />
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

/** How the plan departs from the one that was approved before. */
export function Differences({ differences, steps }) {
  const text = useText();
  if (!differences?.length) return null;
  const nameOf = (node) => steps.find((step) => step.node === node)?.name || node;
  return (
    <div className="os-callout" data-colour="amber" role="alert">
      <Icon name="triangle-alert" />
      <div>
        <p>
          <b>{text("plan.moved", { count: differences.length })}</b>
        </p>
        <ul className="os-plain-list">
          {differences.slice(0, 20).map((one, index) => (
            <li key={index} className="os-wrap">
              {nameOf(one.node)} · <span className="os-mono">{one.field}</span>: <Value value={one.sealed} /> → <Value value={one.now} />
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

/** The plan. `counts` is counted from `steps` where it is not given; `differences` stand on top; `done` names
 * the steps that were carried out already; `partial` says that these are not all; `onStep` is told of a step that is
 * clicked. */
export function PlanView({ steps = [], counts, differences = [], done = [], partial = false, seal, types = {}, opened = 3, onStep }) {
  const text = useText();
  const shown = ordered(steps, done);
  const [toggled, setToggled] = useState(() => new Set());
  const isOpen = (step, index) => toggled.has(step.node) !== (index < opened && writes(step) && !done.includes(step.node));
  const toggle = (node) => {
    onStep?.(node);
    setToggled((now) => {
      const next = new Set(now);
      if (!next.delete(node)) next.add(node);
      return next;
    });
  };
  const found = counts && Object.keys(counts).length ? counts : countsOf(steps);
  const copy = async () => {
    await navigator.clipboard.writeText(planAsText(steps, found, text, partial));
    notify({ kind: "success", key: "common.copied" });
  };
  return (
    <div className="os-plan">
      <div className="os-plan-top">
        <CountLine counts={found} />
        {seal ? <Seal seal={seal} /> : null}
        <button type="button" className="os-button" data-kind="quiet" data-size="small" onClick={copy}>
          <Icon name="copy" size={13} />
          {text("plan.copy")}
        </button>
      </div>
      <Differences differences={differences} steps={steps} />
      {shown.length ? (
        <ol className="os-plan-steps">
          {shown.map((step, index) => (
            <Step key={step.node} step={step} types={types} done={done.includes(step.node)} open={isOpen(step, index)} onToggle={() => toggle(step.node)} />
          ))}
        </ol>
      ) : (
        <p className="os-muted os-small">{text("plan.nothing_help")}</p>
      )}
    </div>
  );
}

/** The seal, short; the whole of it on hover. */
export function Seal({ seal }) {
  const text = useText();
  if (!seal) return null;
  return (
    <span className="os-seal os-mono" title={text("plan.seal_help", { seal })}>
      <Icon name="stamp" size={12} />
      {seal.slice(0, 12)}
    </span>
  );
}
