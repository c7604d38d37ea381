// The steps of a run as a timeline, and the one that is selected: Change | Output | Input | Log | Attempts.
import { useState } from "react";
import { StateBadge, Tag } from "./badges.jsx";
import { ChangeFields } from "./change.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { COLOURS, SIGNS } from "./plan_counts.jsx";
import { EditOutput } from "./run_edits.jsx";
import { Ago, Lasting } from "./time.jsx";
import { Waiting } from "./waiting.jsx";

const TABS = ["change", "output", "input", "log", "attempts"];

/** The words of a step's type: its icon and title by type. */
export function stepWords(types, type, text) {
  const found = types[type];
  return { icon: found?.icon ?? "box", title: found ? text.pick(found.title) : type };
}

function TimelineStep({ step, types, selected, onSelect }) {
  const text = useText();
  const { icon } = stepWords(types, step.type, text);
  const kind = step.change?.kind;
  return (
    <li>
      <button
        type="button"
        className="os-step"
        data-node={step.node}
        data-state={step.state}
        aria-current={selected ? "step" : undefined}
        onClick={onSelect}
      >
        <Icon name={icon} />
        <span className="os-step-words">
          <span className="os-wrap">{step.name}</span>
          <span className="os-step-line">
            <StateBadge state={step.state} plain />
            {step.maybe ? <span className="os-muted">{text("plan.maybe")}</span> : null}
            {step.started_at && step.finished_at && step.attempt > 0 ? (
              <span className="os-muted">
                <Lasting start={step.started_at} end={step.finished_at} />
              </span>
            ) : null}
          </span>
        </span>
        {kind && kind !== "none" ? (
          <b className="os-sign" data-colour={COLOURS[kind]}>
            {SIGNS[kind]}
          </b>
        ) : null}
      </button>
    </li>
  );
}

/** The list of steps. */
export function Timeline({ steps, types, selected, onSelect }) {
  const text = useText();
  return (
    <ol className="os-timeline" aria-label={text("run.steps")}>
      {steps.map((step) => (
        <TimelineStep
          key={step.node}
          step={step}
          types={types}
          selected={step.node === selected}
          onSelect={() => onSelect(step.node)}
        />
      ))}
    </ol>
  );
}

function Json({ value, empty }) {
  const text = useText();
  if (value === null || value === undefined || (typeof value === "object" && Object.keys(value).length === 0)) {
    return <p className="os-muted os-small">{text(empty)}</p>;
  }
  return <pre className="os-json os-mono">{JSON.stringify(value, null, 2)}</pre>;
}

function Log({ events }) {
  const text = useText();
  if (events.length === 0) return <p className="os-muted os-small">{text("run.no_log")}</p>;
  return (
    <ol className="os-log">
      {events.map((event) => (
        <li key={event.seq}>
          <time className="os-muted os-figures" dateTime={event.at} title={text.when(event.at)}>
            {new Date(event.at).toLocaleTimeString(text.locale)}
          </time>
          <span>{text.has(`event.${event.kind}`) ? text(`event.${event.kind}`) : event.kind}</span>
          {event.error ? <span className="os-error">{text.say(event.error)}</span> : null}
        </li>
      ))}
    </ol>
  );
}

function tries(events) {
  const found = new Map();
  for (const event of events) {
    const now = found.get(event.attempt) ?? { attempt: event.attempt, start: event.at };
    found.set(event.attempt, { ...now, end: event.at, error: event.error ?? now.error, retry: event.retry_at ?? now.retry });
  }
  return [...found.values()].filter((one) => one.attempt > 0);
}

function Attempts({ step }) {
  const text = useText();
  const found = tries(step.attempts);
  if (found.length === 0) return <p className="os-muted os-small">{text("run.no_attempts")}</p>;
  return (
    <ol className="os-log">
      {found.map((one) => (
        <li key={one.attempt}>
          <b>{text("run.attempt", { number: one.attempt })}</b>
          <Lasting start={one.start} end={one.end} />
          {one.error ? <span className="os-error">{text.say(one.error)}</span> : null}
          {one.retry ? (
            <span className="os-muted">
              {text("run.again_at")} <Ago at={one.retry} />
            </span>
          ) : null}
        </li>
      ))}
    </ol>
  );
}

// A step of which nobody knows what became: a person looks and says. What it gave is asked for too, where the reader may
// write outputs: a later step that reads it finds nothing otherwise.
function Unknown({ step, onSettle, mayGive }) {
  const text = useText();
  const [gave, setGave] = useState("");
  const [wrong, setWrong] = useState("");
  const type = (event) => {
    setGave(event.target.value);
    setWrong("");
  };
  const done = () => {
    try {
      onSettle(step.node, "done", gave.trim() ? JSON.parse(gave) : null);
    } catch (error) {
      setWrong(error.message);
    }
  };
  return (
    <div className="os-callout" data-colour="orange" role="alert">
      <Icon name="help" />
      <div>
        <p>{text("run.unknown_help")}</p>
        {onSettle && mayGive ? (
          <details>
            <summary>{text("run.it_gave")}</summary>
            <div className="os-field">
              <textarea className="os-input os-mono" rows={6} spellCheck={false} value={gave} aria-label={text("run.it_gave")} aria-invalid={Boolean(wrong)}
                placeholder={'{"id": "…"}'} onChange={type} />
              {wrong ? (
                <span className="os-error" role="alert">
                  {text("run.edit_not_json", { why: wrong })}
                </span>
              ) : (
                <span className="os-help">{text("run.it_gave_help")}</span>
              )}
            </div>
          </details>
        ) : null}
        {onSettle ? (
          <p className="os-line">
            <button type="button" className="os-button" data-size="small" onClick={done}>
              {text("run.it_was_done")}
            </button>
            <button type="button" className="os-button" data-size="small" onClick={() => onSettle(step.node, "not_done", null)}>
              {text("run.it_was_not_done")}
            </button>
          </p>
        ) : null}
      </div>
    </div>
  );
}

// What a step gave, and for whoever may draw a way to write it anew. Only what ran has something to write over.
function Output({ step, edited, onEdit }) {
  const editable = onEdit && ["succeeded", "failed"].includes(step.state) && !step.node.includes("[");
  return (
    <div className="os-stack">
      <Json value={edited ?? step.output} empty="run.no_output" />
      {editable ? <EditOutput key={step.node} step={step} edited={edited} onKeep={onEdit} /> : null}
    </div>
  );
}

function Panel({ tab, step, types, edited, onEdit }) {
  const text = useText();
  if (tab === "change") {
    return step.change ? <ChangeFields change={step.change} fields={types[step.type]?.fields} /> : <p className="os-muted os-small">{text("run.no_change")}</p>;
  }
  if (tab === "output") return <Output {...{ step, edited, onEdit }} />;
  if (tab === "input") return <Json value={step.params} empty="run.no_input" />;
  return tab === "log" ? <Log events={step.attempts} /> : <Attempts step={step} />;
}

/** What the platform said, in its own words, for a reader of another language. */
export function Original({ problem }) {
  const text = useText();
  const words = text.original(problem);
  return words ? (
    <p className="os-mono os-tiny os-wrap">
      <q lang="en">{words}</q>
    </p>
  ) : null;
}

/** The selected step. `onSettle` and `onRetry` are left out where the reader may not. */
export function StepDetail({ step, types, mayGive, onSettle, onRetry, onAgain, onEdit, edited }) {
  const text = useText();
  const [tab, setTab] = useState("change");
  const { title } = stepWords(types, step.type, text);
  return (
    <section className="os-panel os-step-detail">
      <div className="os-panel-head">
        <h2 className="os-truncate" title={step.type}>
          {step.name} <span className="os-muted">{title === step.name ? null : title}</span>
        </h2>
        {step.adopted ? <Tag icon="info">{text("run.adopted")}</Tag> : null}
        {edited ? <Tag icon="pencil">{text("run.edited")}</Tag> : null}
        {step.kept ? <Tag icon="info">{text(`run.${step.kept}`)}</Tag> : null}
        <StateBadge state={step.state} />
        {onAgain && !step.node.includes("[") ? (
          <button type="button" className="os-button" data-size="small" onClick={() => onAgain(step.node)}>
            {text("run.again_here")}
          </button>
        ) : null}
        {onRetry && step.state === "failed" ? (
          <button type="button" className="os-button" data-size="small" onClick={() => onRetry([step.node])}>
            <Icon name="rotate-ccw" size={12} />
            {text("run.retry_here")}
          </button>
        ) : null}
      </div>
      {step.error ? (
        <div className="os-callout" data-colour="red" role="alert">
          <Icon name="circle-alert" />
          <div>
            <p>{text.say(step.error)}</p>
            <Original problem={step.error} />
            {step.error.code ? <p className="os-mono os-tiny">{step.error.code}</p> : null}
          </div>
        </div>
      ) : null}
      <Waiting step={step} types={types} />
      {step.state === "unknown" ? <Unknown step={step} onSettle={onSettle} mayGive={mayGive} /> : null}
      <div className="os-tabs" role="tablist">
        {TABS.map((name) => (
          <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)}>
            {text(`run.tab_${name}`)}
          </button>
        ))}
      </div>
      <div className="os-panel-body" role="tabpanel">
        <Panel {...{ tab, step, types, edited, onEdit }} />
      </div>
    </section>
  );
}
