// The answer to an approval: yes or no, with a reason and a fresh code, for exactly the plan that is shown.
import { useState } from "react";
import { StateBadge } from "./badges.jsx";
import { ChangeFields } from "./change.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { Seal } from "./plan.jsx";
import { Ago } from "./time.jsx";
import { Reminded, useAsked } from "./waiting.jsx";

/** What has been answered so far. */
export function Said({ decisions }) {
  if (!decisions?.length) return null;
  return (
    <ul className="os-said">
      {decisions.map((one, index) => (
        <li key={index}>
          <StateBadge state={one.decision === "approve" ? "approved" : "denied"} plain />
          <span>
            {one.name} · <Ago at={one.at} />
            {one.reason ? <q className="os-wrap">{one.reason}</q> : null}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Problems({ problem }) {
  const text = useText();
  if (!problem?.code && !problem?.errors?.length) return null;
  const lines = problem.errors?.length ? problem.errors : [problem];
  return (
    <div className="os-callout" data-colour="red" role="alert">
      <Icon name="circle-alert" />
      <div>
        {lines.map((one, index) => (
          <p key={index}>{text.say(one)}</p>
        ))}
      </div>
    </div>
  );
}

/** The form. `onDecide({approval, decision, seal, reason, otp})`; `problem` is why the last answer was not taken. */
export function Decision({ approval, problem, busy, onDecide }) {
  const text = useText();
  const [reason, setReason] = useState("");
  const [otp, setOtp] = useState("");
  if (!approval.may_decide) {
    return approval.state === "open" && approval.why_not ? (
      <p className="os-callout" data-colour="grey">
        <Icon name="info" />
        <span>{text(`approval.why_not.${approval.why_not}`)}</span>
      </p>
    ) : null;
  }
  const send = (decision) => onDecide({ approval: approval.id, decision, seal: approval.seal, reason, otp });
  return (
    <form
      className="os-decision"
      onSubmit={(event) => {
        event.preventDefault();
        send("approve");
      }}
    >
      <Problems problem={problem} />
      <label className="os-field">
        <span className="os-label">{text("approval.reason")}</span>
        <textarea className="os-input" rows={2} value={reason} onChange={(event) => setReason(event.target.value)} />
        <span className="os-help">{text("approval.reason_help")}</span>
      </label>
      <label className="os-field">
        <span className="os-label">{text("approval.otp")}</span>
        <input
          className="os-input os-otp"
          name="otp"
          inputMode="numeric"
          autoComplete="one-time-code"
          maxLength={20}
          value={otp}
          onChange={(event) => setOtp(event.target.value)}
        />
      </label>
      <div className="os-decision-foot">
        <Seal seal={approval.seal} />
        <button type="button" className="os-button" data-kind="danger" disabled={busy} onClick={() => send("deny")}>
          <Icon name="x" size={14} />
          {text("approval.deny")}
        </button>
        <button type="submit" className="os-button" data-kind="primary" disabled={busy || !otp}>
          <Icon name="check" size={14} />
          {text("approval.approve")}
        </button>
      </div>
    </form>
  );
}

/** Why it is asked, and the one change it is about, where a run met a moved world in the middle. */
export function Why({ approval, types = {}, steps = [], done = [] }) {
  const text = useText();
  const key = `approval.why.${approval.why}`;
  return (
    <>
      {text.has(key) ? <p className="os-small">{text(key)}</p> : null}
      <Covers approval={approval} steps={steps} done={done} />
      {approval.change ? <ChangeFields change={approval.change} fields={types[approval.change.type]?.fields} /> : null}
    </>
  );
}

// What the question is about, where that is less than all that the run would change: its counts are of the whole run.
function Covers({ approval, steps, done }) {
  const text = useText();
  const asked = coveredBy(approval, steps, done);
  if (!asked) return null;
  // What a workflow itself asks lets the rest go on; any other question names its steps.
  const key = approval.why === "step" ? "approval.remains" : "approval.covers";
  return (
    <p className="os-small" data-covers={asked.length}>
      {text(key, { count: asked.length, steps: asked.map((step) => step.name || step.node) })}
    </p>
  );
}

const writes = (step) => step.change && step.change.kind !== "none";
function coveredBy(approval, steps, done) {
  const all = steps.filter(writes);
  const asked = all.filter((step) => (approval.why === "step" ? !done.includes(step.node) : approval.nodes.includes(step.node)));
  return asked.length > 0 && asked.length < all.length ? asked : null;
}

/** How many have said yes, where more than one must. */
export function SoFar({ approval }) {
  const text = useText();
  if (approval.count < 2) return null;
  const said = approval.decisions.filter((one) => one.decision === "approve").length;
  return <b className="os-figures" data-so-far={said}>{text("approval.so_far", { said, count: approval.count })}</b>;
}

/** Who asked whom, and until when. */
export function ApprovalFacts({ approval }) {
  const text = useText();
  const asked = useAsked();
  return (
    <div className="os-facts">
      <StateBadge state={approval.state} />
      {approval.asked_by ? <span>{text("approval.asked_by", { name: approval.asked_by })}</span> : null}
      <Ago at={approval.asked_at} />
      <span>
        {text("approval.needs", { count: approval.count, roles: asked(approval) })}
      </span>
      <SoFar approval={approval} />
      {approval.deadline ? (
        <span>
          {text("approval.until")} <Ago at={approval.deadline} />{" "}
          {approval.state === "open" ? text(`approval.silence_${approval.silence}`) : null}
        </span>
      ) : null}
      <Reminded at={approval.reminded_at} />
    </div>
  );
}
