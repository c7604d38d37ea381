// One batch: its facts, the one approval, each row with its plan, and the rows that were held back.
import { useState } from "react";
import { Link, useParams } from "react-router";
import { StateBadge } from "./badges.jsx";
import { Skeleton } from "./feedback.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { PlanView } from "./plan.jsx";
import { ChangeCounts, CountLine } from "./plan_counts.jsx";
import { OpenApproval, Reason, RunFacts } from "./run_page.jsx";

function BatchRow({ row, plan, types, onOpen }) {
  const text = useText();
  const { client } = useParams();
  const [open, setOpen] = useState(false);
  const toggle = () => {
    if (!open && !plan) onOpen(row.id);
    setOpen(!open);
  };
  return (
    <li className="os-plan-step" data-row={row.row_number}>
      <button type="button" className="os-plan-head" aria-expanded={open} onClick={toggle}>
        <span className="os-muted os-figures os-row-number">{row.row_number}</span>
        <span className="os-plan-words">
          <span className="os-wrap">{row.label}</span>
          {row.reason && row.state !== "succeeded" ? (
            <span className="os-muted os-wrap">{text.reason(row.reason)}</span>
          ) : null}
        </span>
        <ChangeCounts counts={row.summary} />
        <StateBadge state={row.state} plain />
        <Icon name={open ? "chevron-up" : "chevron-down"} size={14} />
      </button>
      {open ? (
        <div className="os-stack">
          {plan ? <PlanView steps={plan.steps} differences={plan.differences} types={types} opened={1} /> : <Skeleton rows={3} />}
          <Link className="os-link os-small" to={`/c/${client}/runs/${row.id}`}>
            {text("batch.open_row")}
          </Link>
        </div>
      ) : null}
    </li>
  );
}

function HeldBack({ rows }) {
  const text = useText();
  if (!rows?.length) return null;
  return (
    <section className="os-panel">
      <div className="os-panel-head">
        <h2>{text("batch.held_back", { count: rows.length })}</h2>
      </div>
      <ul className="os-plain">
        {rows.map((row) => (
          <li key={row.row} className="os-held">
            <StateBadge state="held" plain />
            <span className="os-figures os-muted">{text("start.row_number", { number: row.row })}</span>
            <span className="os-wrap">
              {Object.values(row.inputs ?? {}).filter((value) => typeof value === "string" && value.trim()).slice(0, 3).join(" · ")}
              {row.problems.map((problem, index) => (
                <span key={index} className="os-error">
                  <Icon name="circle-alert" size={12} />
                  <span>
                    {problem.field ? <b className="os-mono">{problem.field}: </b> : null}
                    {text.say(problem)}
                  </span>
                </span>
              ))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function progressOf(rows) {
  const over = rows.filter((row) => ["succeeded", "failed", "cancelled"].includes(row.state)).length;
  return { over, all: rows.length };
}

/** The page's content. `plans` are the rows' plans by run, those that were opened. */
export function BatchPage({ run, rows = [], plans = {}, types = {}, problem, busy, onDecide, onRow }) {
  const text = useText();
  if (!run?.id) return <Skeleton rows={8} />;
  const { over, all } = progressOf(rows);
  return (
    <div className="os-stack">
      <RunFacts run={run} />
      <Reason run={run} />
      <div className="os-line">
        <CountLine counts={run.summary} done={run.mode === "apply" && run.state === "succeeded"} />
        <span className="os-small os-muted os-figures">{text("batch.progress", { over, count: all })}</span>
      </div>
      <progress className="os-progress" value={over} max={all || 1} aria-label={text("batch.progress", { over, count: all })} />
      <OpenApproval approvals={run.approvals} {...{ problem, busy, onDecide }} />
      <HeldBack rows={run.held_back} />
      <ol className="os-plan-steps">
        {rows.map((row) => (
          <BatchRow key={row.id} row={row} plan={plans[row.id]} types={types} onOpen={onRow} />
        ))}
      </ol>
    </div>
  );
}
