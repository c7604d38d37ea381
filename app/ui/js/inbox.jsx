// The approval inbox: what waits, the plan behind it, and the answer. Usable with one hand on a phone.
import { useEffect } from "react";
import { Link, useParams } from "react-router";
import { given } from "./address.js";
import { StateBadge, Tag } from "./badges.jsx";
import { ApprovalFacts, Decision, Said, SoFar, Why } from "./decision.jsx";
import { Empty, Skeleton } from "./feedback.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { PlanView } from "./plan.jsx";
import { ChangeCounts } from "./plan_counts.jsx";
import { Ago } from "./time.jsx";
import { Reminded } from "./waiting.jsx";

const BESIDE = "(min-width: 768px)";

function Card({ approval, selected, onSelect }) {
  return (
    <li>
      <button type="button" className="os-step" aria-current={selected ? "true" : undefined} onClick={onSelect}>
        <Icon name={approval.of ? "undo" : approval.kind === "batch" ? "layers" : "shield-check"} />
        <span className="os-step-words">
          <span className="os-wrap">{approval.title || approval.workflow_name}</span>
          <span className="os-step-line os-muted">
            <span className="os-truncate">{approval.asked_by || approval.workflow_name}</span>
            <Ago at={approval.asked_at} />
          </span>
          <span className="os-step-line">
            <StateBadge state={approval.state} plain />
            <SoFar approval={approval} />
            <Kind approval={approval} />
            <ChangeCounts counts={approval.summary} />
          </span>
          <Due approval={approval} />
        </span>
      </button>
    </li>
  );
}

function Due({ approval }) {
  const text = useText();
  if (!approval.deadline) return null;
  return (
    <span className="os-step-line os-muted">
      <span>
        {text("approval.until")} <Ago at={approval.deadline} />
      </span>
      <Reminded at={approval.reminded_at} />
    </span>
  );
}

// An undo is asked for as the run was, and must not be taken for it.
function Kind({ approval }) {
  const text = useText();
  if (!approval.of && approval.kind !== "batch") return null;
  return <Tag>{text(approval.of ? (approval.kind === "batch" ? "approval.batch_undo" : "run.kind_undo") : "run.kind_batch")}</Tag>;
}

function Rows({ rows }) {
  const { client } = useParams();
  return (
    <ol className="os-plan-steps">
      {rows.map((row) => (
        <li key={row.id} className="os-plan-step">
          <Link className="os-plan-head" to={`/c/${client}/runs/${row.id}`}>
            <span className="os-muted os-figures os-row-number">{row.row_number}</span>
            <span className="os-plan-words os-wrap">{row.label}</span>
            <ChangeCounts counts={row.summary} />
          </Link>
        </li>
      ))}
    </ol>
  );
}

function Detail({ approval, seen, types, problem, busy, onDecide, onBack }) {
  const text = useText();
  const { client } = useParams();
  const place = approval.kind === "batch" ? "batches" : "runs";
  return (
    <section className="os-panel os-inbox-detail">
      <div className="os-panel-head">
        <h2 className="os-wrap">
          <button type="button" className="os-icon-button os-narrow-only" onClick={onBack} aria-label={text("common.back")}>
            <Icon name="chevron-left" />
          </button>
          {approval.title || approval.workflow_name}
        </h2>
        <Link className="os-link os-small" to={`/c/${client}/${place}/${approval.run_id}`}>
          {text("approval.open_run")}
        </Link>
      </div>
      <div className="os-panel-body os-stack">
        <p className="os-small">
          <b>{approval.workflow_name}</b> <Kind approval={approval} />
          {approval.label && approval.label !== approval.title ? <span className="os-muted"> · {approval.label}</span> : null}
        </p>
        <ApprovalFacts approval={approval} />
        <Why approval={approval} types={types} {...(seen?.approval === approval.id ? { steps: seen.steps, done: seen.done } : {})} />
        {seen?.approval === approval.id ? (
          <>
            <PlanView steps={seen.steps} counts={approval.summary} differences={seen.differences} done={seen.done} partial={seen.left_out} types={types} opened={2} />
            {approval.summary?.refused ? (
              <p className="os-callout" data-colour="amber">
                <Icon name="triangle-alert" />
                <span>{text("batch.refused", { count: approval.summary.refused })}</span>
              </p>
            ) : null}
            {seen.rows?.length ? <Rows rows={seen.rows} /> : null}
            {seen.left_out ? (
              <p className="os-callout" data-colour="grey">
                <Icon name="info" />
                <span>
                  {text("plan.left_out")}{" "}
                  <Link className="os-link" to={`/c/${client}/${place}/${approval.run_id}`}>
                    {text("approval.open_run")}
                  </Link>
                </span>
              </p>
            ) : null}
          </>
        ) : (
          <Skeleton rows={6} />
        )}
        <Said decisions={approval.decisions} />
        <Decision approval={approval} problem={given(problem)} busy={busy} onDecide={onDecide} />
      </div>
    </section>
  );
}

/** The forms that the reader is asked to fill in, each leading to its run. */
export function FormList({ forms = [] }) {
  const text = useText();
  const { client } = useParams();
  if (forms.length === 0) return null;
  return (
    <section className="os-panel">
      <div className="os-panel-head">
        <h2>{text("wait.forms")}</h2>
      </div>
      <ol className="os-plan-steps os-form-rows">
        {forms.map((form) => (
          <li key={form.id} className="os-plan-step">
            <Link className="os-plan-head" to={`/c/${client}/runs/${form.run_id}`}>
              <Icon name="file-text" />
              <span className="os-plan-words os-wrap">
                <span>{form.title}</span>
                <span className="os-muted">{form.label || form.workflow_name}</span>
              </span>
              <span className="os-step-line os-muted">
                <span>
                  {text("wait.asked")} <Ago at={form.asked_at} />
                </span>
                <Due approval={form} />
              </span>
            </Link>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** The page's content. `seen` is the plan of the approval that was chosen. */
export function Inbox({ approvals = [], chosen, seen, types = {}, loaded, problem, busy, onChoose, onDecide }) {
  const text = useText();
  const first = approvals[0]?.id;
  // Where there is room for both, the first question is open beside the list.
  useEffect(() => {
    if (loaded && first && !chosen && window.matchMedia(BESIDE).matches) onChoose(first);
  }, [loaded, first, chosen]);
  if (!loaded) return <Skeleton rows={6} />;
  if (approvals.length === 0) {
    return <Empty icon="shield-check" title={text("approval.none")} help={text("approval.none_help")} />;
  }
  const shown = approvals.find((one) => one.id === chosen);
  return (
    <div className="os-inbox" data-chosen={Boolean(shown)}>
      <ol className="os-timeline" aria-label={text("approval.list")}>
        {approvals.map((approval) => (
          <Card key={approval.id} approval={approval} selected={approval.id === chosen} onSelect={() => onChoose(approval.id)} />
        ))}
      </ol>
      {shown ? (
        <Detail key={shown.id} approval={shown} {...{ seen, types, problem, busy, onDecide }} onBack={() => onChoose("")} />
      ) : (
        <p className="os-muted os-small os-inbox-hint">{text("approval.choose")}</p>
      )}
    </div>
  );
}
