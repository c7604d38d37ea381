// What the last plan or run made of a step: its change, output, input and error.
import { ChangeFields } from "$/public/external/app/ui/js/change.jsx";
import { Fields } from "./fields.jsx";
import { Icon, StateBadge, useText } from "./shared.js";

const SIGNS = { create: "+", update: "~", delete: "−", unknown: "?", none: "=" };

export const OUTCOME_TABS = [
  { id: "error", has: (step, planned) => Boolean(step?.error || planned?.problem) },
  { id: "change", has: (step, planned) => Boolean(step?.change || planned?.change) },
  { id: "output", has: (step, planned) => hasContent(step?.output ?? planned?.output) },
  { id: "input", has: (step) => hasContent(step?.input) },
];

const hasContent = (value) => value !== null && value !== undefined && Object.keys(value).length > 0;

function Change({ change, done }) {
  const text = useText();
  return (
    <div className="ob-outcome">
      <div className="ob-row">
        <b className="ob-change" data-kind={change.kind}>{SIGNS[change.kind]}</b>
        <strong className="os-wrap">{change.label || change.target}</strong>
      </div>
      <p className="os-muted os-small">{text(`builder.${done ? "done" : "change"}.${change.kind}`)}</p>
      <ChangeFields change={change} />
    </div>
  );
}

function Failure({ error }) {
  const text = useText();
  const details = error.details && Object.keys(error.details).length ? error.details : null;
  return (
    <div className="ob-outcome">
      <div className="os-callout" data-colour="red"><Icon name="circle-x" size={15} /><span>{text.say(error)}</span></div>
      {error.code ? <p className="os-muted os-small">{text("builder.error_code")} <span className="os-mono">{error.code}</span></p> : null}
      {details ? <Fields value={details} /> : null}
    </div>
  );
}

export function Outcome({ tab, step, planned }) {
  const text = useText();
  if (tab === "error") return <Failure error={step?.error ?? planned.problem} />;
  if (tab === "change") return <Change change={step?.change ?? planned.change} done={step?.state === "succeeded"} />;
  const value = tab === "output" ? (step?.output ?? planned?.output) : step.input;
  return (
    <div className="ob-outcome">
      {tab === "output" && !step?.output ? <p className="os-muted os-small">{text("builder.planned_output")}</p> : null}
      {step?.state && tab === "output" ? <StateBadge state={step.state} plain /> : null}
      <Fields value={value} />
    </div>
  );
}
