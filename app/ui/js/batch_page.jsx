// One batch: its facts, the one approval, each row with its plan, and the rows that were held back.
import { useState } from "react";
import { Link, useParams } from "react-router";
import { StateBadge } from "./badges.jsx";
import { Empty, Skeleton } from "./feedback.jsx";
import { useFilters, useWords } from "./filters.js";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { PlanView } from "./plan.jsx";
import { ChangeCounts, CountLine } from "./plan_counts.jsx";
import { OpenApproval, Reason, RunFacts } from "./run_page.jsx";
import { SearchBox } from "./table_bar.jsx";

const HELD_AT_ONCE = 50;
const SEARCHED_FROM = 20;

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

function More({ onMore }) {
  const text = useText();
  return (
    <div className="os-table-more">
      <button type="button" className="os-button" data-kind="quiet" onClick={onMore}>
        {text("common.more")}
      </button>
    </div>
  );
}

function HeldBack({ rows }) {
  const text = useText();
  const [most, setMost] = useState(HELD_AT_ONCE);
  if (!rows?.length) return null;
  return (
    <section className="os-panel">
      <div className="os-panel-head">
        <h2>{text("batch.held_back", { count: rows.length })}</h2>
      </div>
      <ul className="os-plain">
        {rows.slice(0, most).map((row) => (
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
      {rows.length > most ? <More onMore={() => setMost(most + HELD_AT_ONCE)} /> : null}
    </section>
  );
}

// What went wrong, or still waits, comes before what is done.
const IN_ORDER = ["failed", "waiting", "paused", "running", "queued", "cancelled", "succeeded"];

function progressOf(states) {
  const count = (names) => names.reduce((sum, name) => sum + (states[name] ?? 0), 0);
  return { over: count(["succeeded", "failed", "cancelled"]), all: count(Object.keys(states)) };
}

// How many rows are in which state, each a filter; and a search, where there are more than one sees at once.
function RowsBar({ states, all, active, onFilter }) {
  const text = useText();
  const [wanted, choose] = useFilters(active, onFilter);
  const [words, setWords] = useWords("search", wanted, choose);
  const present = IN_ORDER.filter((state) => states[state] || wanted.state === state);
  return (
    <div className="os-table-bar" role="group" aria-label={text("batch.rows")}>
      {all > SEARCHED_FROM ? <SearchBox title="batch.search" {...{ words, setWords }} /> : null}
      {present.length > 1 || wanted.state
        ? present.map((state) => (
            <button
              key={state}
              type="button"
              className="os-chip"
              data-on={wanted.state === state}
              aria-pressed={wanted.state === state}
              onClick={() => choose({ state: wanted.state === state ? "" : state })}
            >
              {text(`state.${state}`)} <b className="os-figures">{text.number(states[state] ?? 0)}</b>
            </button>
          ))
        : null}
    </div>
  );
}

function Rows({ rows, plans, types, onRow, hasMore, onMore, filtered }) {
  const text = useText();
  if (rows.length === 0 && filtered) {
    return <Empty icon="search" title={text("table.no_match")} help={text("table.no_match_help")} />;
  }
  return (
    <>
      <ol className="os-plan-steps">
        {rows.map((row) => (
          <BatchRow key={row.id} row={row} plan={plans[row.id]} types={types} onOpen={onRow} />
        ))}
      </ol>
      {hasMore ? <More onMore={onMore} /> : null}
    </>
  );
}

/** The page's content. `plans` are the rows' plans by run, those that were opened; `rows` what `active` asks for. */
export function BatchPage({
  run, rows = [], active = {}, hasMore, plans = {}, types = {}, problem, busy, onDecide, onRow, onFilter, onMore,
}) {
  const text = useText();
  if (!run?.id) return <Skeleton rows={8} />;
  const states = run.row_states ?? {};
  const { over, all } = progressOf(states);
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
      <RowsBar {...{ states, all, active, onFilter }} />
      <Rows {...{ rows, plans, types, onRow, hasMore, onMore }} filtered={Object.values(active).some(Boolean)} />
    </div>
  );
}
