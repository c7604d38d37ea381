// One run: facts on top, steps on the left, the selected one on the right; the plan beside what was done.
import { useEffect, useState } from "react";
import { Link, useParams } from "react-router";
import { given } from "./address.js";
import { StateBadge, Tag } from "./badges.jsx";
import { Value } from "./change.jsx";
import { ApprovalFacts, Decision, Said, Why } from "./decision.jsx";
import { Skeleton } from "./feedback.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { PlanView, Seal } from "./plan.jsx";
import { CountLine } from "./plan_counts.jsx";
import { Reveals } from "./reveal.jsx";
import { Edited, useEdits } from "./run_edits.jsx";
import { Moments, usePast } from "./run_past.jsx";
import { Original, StepDetail, Timeline } from "./run_steps.jsx";
import { OpenForms } from "./waiting.jsx";
import { Ago, Lasting } from "./time.jsx";

const kindOf = (run) => (run.mode === "plan" ? "plan" : run.of ? "undo" : run.kind);

/** Whether anything of a run was tried: only then there is something to try again. */
export const began = (run) => Boolean(run.steps?.some((step) => step.attempts.length > 0));

// Who acts without an account has a name of the system's.
const who = (name, text) => (name === "command line" ? text("run.command_line") : name);

/** The line of facts under the header. */
export function RunFacts({ run }) {
  const text = useText();
  const { client } = useParams();
  const runLink = (id, key) => (
    <Link className="os-link" to={`/c/${client}/runs/${id}`}>
      {text(key)}
    </Link>
  );
  return (
    <div className="os-facts">
      <StateBadge state={run.state} />
      {run.undone_state === "succeeded" ? <StateBadge state="undone" /> : null}
      <Tag>{text(`run.kind_${kindOf(run)}`)}</Tag>
      {run.priority && run.priority !== "normal" ? <Tag>{text(`priority.${run.priority}_tag`)}</Tag> : null}
      <Link className="os-link" to={`/c/${client}/workflows/${run.workflow_id}`}>
        {run.workflow_name} {run.version ? text("run.version", { number: run.version }) : text("run.draft")}
      </Link>
      <span>{text("run.started_by", { name: who(run.started_by, text) })}</span>
      <Ago at={run.created_at} />
      <Lasting start={run.started_at} end={run.finished_at} />
      <Seal seal={run.seal} />
      {run.of ? runLink(run.of, "run.of") : null}
      {run.undone_by ? runLink(run.undone_by, run.undone_state === "succeeded" ? "run.undone_by" : "run.its_undo") : null}
      {run.parent ? (
        <Link className="os-link" to={`/c/${client}/batches/${run.parent}`}>
          {text("run.row_of", { number: run.row_number })}
        </Link>
      ) : null}
    </div>
  );
}

/** Why the run waits or how it failed, if there is something to say. */
export function Reason({ run, types }) {
  const text = useText();
  if (!run.reason || run.state === "succeeded") return null;
  const failed = run.state === "failed";
  const step = run.steps?.find((one) => one.node === run.reason.node);
  return (
    <div className="os-callout" data-colour={failed ? "red" : "amber"} role={failed ? "alert" : "status"}>
      <Icon name={failed ? "circle-x" : "hourglass"} />
      <div>
        <p>{text.reason(run.reason)}</p>
        <Original problem={run.reason} />
        {step ? <p className="os-tiny">{text("run.at_step", { name: step.name })}</p> : null}
        {failed && run.reason.phase === "plan" && run.mode === "apply" ? <p className="os-tiny">{text("run.nothing_done")}</p> : null}
      </div>
    </div>
  );
}

function Inputs({ inputs, schema }) {
  const text = useText();
  const names = Object.keys(inputs ?? {});
  if (names.length === 0) return <p className="os-muted os-small">{text("run.no_inputs")}</p>;
  const titleOf = (name) => {
    const spec = schema?.properties?.[name];
    return spec?.["x-title"] ? text.pick(spec["x-title"]) : (spec?.title ?? name);
  };
  return (
    <dl className="os-pairs">
      {names.map((name) => (
        <div key={name}>
          <dt>{titleOf(name)}</dt>
          <dd className="os-wrap">
            <Value value={inputs[name]} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** The open question about a run, with the form where the reader may answer. */
export function OpenApproval({ approvals, steps = [], done = [], problem, busy, onDecide }) {
  const open = approvals.filter((one) => one.state === "open");
  const text = useText();
  return open.map((approval) => (
    <section key={approval.id} className="os-panel">
      <div className="os-panel-head">
        <h2>{approval.title || text("approval.title")}</h2>
      </div>
      <div className="os-panel-body os-stack">
        <ApprovalFacts approval={approval} />
        <Why approval={approval} steps={steps} done={done} />
        <Said decisions={approval.decisions} />
        <Decision approval={approval} problem={given(problem)} busy={busy} onDecide={onDecide} />
      </div>
    </section>
  ));
}

function Answered({ approvals }) {
  const text = useText();
  const closed = approvals.filter((one) => one.state !== "open");
  if (closed.length === 0) return null;
  return (
    <section className="os-panel">
      <div className="os-panel-head">
        <h2>{text("run.approvals")}</h2>
      </div>
      {closed.map((approval) => (
        <div key={approval.id} className="os-panel-body os-stack">
          <b className="os-small">{approval.title}</b>
          <ApprovalFacts approval={approval} />
          <Said decisions={approval.decisions} />
        </div>
      ))}
    </section>
  );
}

// The step to look at first: the one that needs someone, then the one at work, then the first.
function firstToSee(steps) {
  const by = (...states) => steps.find((step) => states.includes(step.state));
  return (by("unknown", "failed") ?? by("waiting") ?? by("running") ?? steps[0])?.node;
}

function useSelected(run) {
  const [chosen, setChosen] = useState(null);
  useEffect(() => setChosen(null), [run.id]);
  const known = run.steps?.some((step) => step.node === chosen);
  return [known ? chosen : firstToSee(run.steps ?? []), setChosen];
}

// Until the plan is there, its place says that it is being made.
function Plan({ run, types, pending }) {
  const text = useText();
  // What waits in its midst has done some of it; once it is over, its steps say what was done.
  const done = run.state === "waiting" ? run.steps.filter((step) => step.state === "succeeded").map((step) => step.node) : [];
  if (!pending) return <PlanView steps={run.plan} differences={run.differences} done={done} types={types} />;
  return (
    <div role="status">
      <p className="os-muted os-small">{text("run.planning")}</p>
      <Skeleton rows={4} />
    </div>
  );
}

/** The page's content. `may` says what the reader may do; `types` has the words of step types. */
// A new run may begin at a step of one that is over and has done something; a step inside another begins with it.
const canBegin = (run) => ["succeeded", "failed", "cancelled"].includes(run.state) && run.kind === "run" && run.mode === "apply" && began(run);

export function RunPage({ run, types = {}, may = {}, problem, busy, onDecide, onAnswer, onSettle, onRetry, onAgain, past = {}, onMoment }) {
  const text = useText();
  const [moment, chooseMoment, then] = usePast(run, past, onMoment);
  const [edits, keepEdit] = useEdits(run);
  const [view, setView] = useState(null);
  const [selected, select] = useSelected(run ?? {});
  if (!run?.id) return <Skeleton rows={8} />;
  const shown = view ?? (run.mode === "plan" || run.steps.every((step) => step.state === "pending") ? "plan" : "steps");
  // At a past moment only steps are looked at: nothing can be done to what was.
  const seen = then ?? run;
  const now = moment === null;
  const step = seen.steps.find((one) => one.node === selected);
  const again = now && may.plan && canBegin(run);
  const over = ["succeeded", "failed", "cancelled"].includes(run.state);
  const views = ["steps", "plan", "inputs"];
  return (
    <div className="os-stack">
      <RunFacts run={run} />
      <Reason run={run} />
      {run.left_behind.length ? (
        <div className="os-callout" data-colour="orange">
          <Icon name="triangle-alert" />
          <span>{text("run.left_behind", { count: run.left_behind.length, names: run.left_behind })}</span>
        </div>
      ) : null}
      {run.archive ? (
        <div className="os-callout" data-colour="slate">
          <Icon name="scroll-text" />
          <span>{text("run.archived", { file: run.archive })}</span>
        </div>
      ) : null}
      <OpenApproval approvals={run.approvals} steps={run.plan} done={run.steps.filter((one) => one.state === "succeeded").map((one) => one.node)} {...{ problem, busy, onDecide }} />
      <OpenForms forms={run.forms} {...{ problem, busy, onAnswer }} />
      <Reveals reveals={run.reveals} canLink={may.reveal} />
      <div className="os-tabs" role="tablist">
        {views.map((name) => (
          <button key={name} type="button" role="tab" aria-selected={shown === name} onClick={() => setView(name)}>
            {text(`run.view_${name}`)}
          </button>
        ))}
        {shown !== "plan" && Object.keys(run.summary).length ? <CountLine counts={run.summary} done={run.mode === "apply" && over} /> : null}
      </div>
      {shown === "plan" ? (
        <Plan run={run} types={types} pending={!over && run.plan.length === 0} />
      ) : shown === "inputs" ? (
        <Inputs inputs={run.inputs} schema={run.document?.inputs} />
      ) : (
        <>
        <Moments run={run} moment={moment} past={then} onChoose={chooseMoment} />
        <Edited edits={edits} steps={run.steps} onKeep={keepEdit} />
        <div className="os-run">
          <Timeline steps={seen.steps} types={types} selected={selected} onSelect={select} />
          {step ? (
            <StepDetail
              key={step.node}
              step={step}
              types={types}
              onSettle={now && may.start ? onSettle : null}
              mayGive={may.draw}
              onAgain={again ? (node) => onAgain(node, edits) : null}
              onEdit={again && may.draw ? keepEdit : null}
              edited={edits[step.node]}
              onRetry={now && may.start && run.state === "failed" && began(run) ? onRetry : null}
            />
          ) : null}
        </div>
        </>
      )}
      <Answered approvals={run.approvals} />
    </div>
  );
}
