// How a step behaves: tries, time, what an error does, how branches join, notes.
import { NumberField } from "./number_field.jsx";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";
import { problemsOf } from "./derive.js";

// After which failures it is tried again, by what would mend them. These two are what is meant when nothing is said.
const REMEDIES = ["Retryable", "Throttled", "AuthFailed", "NotFound", "Conflict", "Rejected"];
const USUAL = ["Retryable", "Throttled"];

function Remedies({ on, put }) {
  const text = useText();
  const toggle = (remedy) => {
    const next = REMEDIES.filter((one) => (one === remedy ? !on.includes(one) : on.includes(one)));
    if (next.length) put({ on: next });
  };
  return (
    <fieldset className="ob-group">
      <legend>{text("builder.retry_on")}</legend>
      {REMEDIES.map((remedy) => (
        <label key={remedy} className="os-check">
          <input type="checkbox" checked={on.includes(remedy)} onChange={() => toggle(remedy)} data-remedy={remedy} />
          {text(`builder.remedy.${remedy}`)}
        </label>
      ))}
      <span className="os-help">{text("builder.retry_on_help")}</span>
    </fieldset>
  );
}

function Waits({ retry, put }) {
  const text = useText();
  return (
    <>
      <div className="ob-pair">
        <NumberField label={text("builder.delay")} unit={text("builder.seconds")} value={retry.delay_s ?? 2} min={0} max={86400} onKeep={(number) => put({ delay_s: number ?? 2 })} />
        <label className="os-field"><span className="os-label">{text("builder.backoff")}</span>
          <select className="os-input" value={retry.backoff ?? "exponential"} onChange={(event) => put({ backoff: event.target.value })}>
            <option value="exponential">{text("builder.backoff.exponential")}</option>
            <option value="fixed">{text("builder.backoff.fixed")}</option>
          </select>
        </label>
      </div>
      {retry.backoff === "fixed" ? null : <NumberField label={text("builder.max_delay")} unit={text("builder.seconds")} value={retry.max_delay_s ?? 300} min={0} max={86400} onKeep={(number) => put({ max_delay_s: number ?? 300 })} />}
      <label className="os-check"><input type="checkbox" checked={retry.jitter ?? true} onChange={(event) => put({ jitter: event.target.checked })} data-jitter />{text("builder.jitter")}</label>
      <Remedies on={retry.on ?? USUAL} put={put} />
    </>
  );
}

function Retry({ node, disabled, set }) {
  const text = useText();
  const retry = node.retry ?? {};
  const attempts = retry.attempts ?? 1;
  const put = (change) => {
    const next = { attempts, backoff: "exponential", delay_s: 2, ...retry, ...change };
    set(["retry"], next.attempts > 1 ? next : null);
  };
  return (
    <fieldset className="ob-group" disabled={disabled}>
      <legend>{text("builder.retry")}</legend>
      <NumberField label={text("builder.attempts")} value={attempts} min={1} max={50} onKeep={(number) => put({ attempts: Math.round(number ?? 1) })} />
      {attempts > 1 ? <Waits retry={retry} put={put} /> : null}
      <p className="os-help">{text("builder.retry_help")}</p>
    </fieldset>
  );
}

function OnError({ node, info, disabled, set }) {
  const text = useText();
  const options = ["stop", ...((info?.ports ?? ["next"])[0] === "next" ? ["continue"] : []), "branch"];
  const value = node.on_error ?? "stop";
  return (
    <fieldset className="ob-group" disabled={disabled}>
      <legend>{text("builder.on_error")}</legend>
      {options.map((option) => (
        <label key={option} className="ob-radio">
          <input type="radio" name="on_error" checked={value === option} onChange={() => set(["on_error"], option === "stop" ? null : option)} data-on-error={option} />
          <span>{text(`builder.on_error.${option}`)}<small>{text(`builder.on_error.${option}_help`)}</small></span>
        </label>
      ))}
    </fieldset>
  );
}

function Join({ node, incoming, disabled, set }) {
  const text = useText();
  if (incoming < 2) return null;
  const join = node.join ?? "all";
  const kind = typeof join === "number" ? "number" : join;
  const choose = (next) => set(["join"], next === "all" ? null : next === "any" ? "any" : Math.min(2, incoming));
  return (
    <fieldset className="ob-group" disabled={disabled}>
      <legend>{text("builder.join")}</legend>
      <select className="os-input" value={kind} onChange={(event) => choose(event.target.value)} aria-label={text("builder.join")}>
        {["all", "any", "number"].map((one) => <option key={one} value={one}>{text(`builder.join.${one}`, { count: incoming })}</option>)}
      </select>
      {kind === "number" ? <NumberField label={text("builder.join_number")} value={join} min={1} max={incoming} onKeep={(number) => set(["join"], Math.round(number ?? 1))} /> : null}
      <p className="os-help">{text("builder.join_help")}</p>
    </fieldset>
  );
}

// A setting that could do nothing on such a step is shown only where a document has it already: to take it away.
const isTried = (info) => !(info?.body || info?.asks_people);

export function StepSettings({ node, info }) {
  const text = useText();
  const { actions } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const incoming = useSelect((s) => Object.values(s.doc.edges).filter((edge) => edge.target === node.id).length);
  const problems = useSelect((s) => problemsOf(s, node.id));
  const set = (path, value) => actions.setField(node.id, path, value, false);
  const own = problems.filter((problem) => ["on_error", "join", "retry", "timeout_s"].includes(problem.field));
  const shared = { node, info, disabled: !canWrite, set };
  return (
    <div className="ob-settings">
      {own.map((problem, i) => <div key={i} className="os-callout" data-colour="red"><Icon name="circle-alert" size={15} /><span>{text.say(problem)}</span></div>)}
      <OnError {...shared} />
      {isTried(info) || node.retry ? <Retry {...shared} /> : null}
      {isTried(info) || node.timeout_s != null ? <NumberField label={text("builder.timeout")} unit={text("builder.seconds")} value={node.timeout_s} placeholder={String(info?.timeout_s ?? 300)} min={1} max={2592000} disabled={!canWrite} onKeep={(number) => set(["timeout_s"], number)} help={text("builder.timeout_help")} /> : null}
      <Join {...shared} incoming={incoming} />
      <label className="os-check"><input type="checkbox" checked={node.disabled ?? false} disabled={!canWrite} onChange={() => actions.toggle([node.id])} />{text("builder.disabled")}</label>
      <label className="os-field">
        <span className="os-label">{text("builder.notes")}</span>
        <textarea className="os-input" rows={4} maxLength={10000} disabled={!canWrite} value={node.notes ?? ""} onChange={(event) => actions.setField(node.id, ["notes"], event.target.value || null)} />
      </label>
      {info ? <Facts info={info} /> : null}
    </div>
  );
}

function Facts({ info }) {
  const text = useText();
  return (
    <details className="ob-details">
      <summary>{text("builder.technical")}</summary>
      <dl className="ob-facts">
        <dt>{text("builder.type")}</dt><dd className="os-mono">{info.id}@{info.version}</dd>
        <dt>{text("builder.effect")}</dt><dd>{text(`builder.effect.${info.effect}`)}</dd>
        <dt>{text("builder.risk")}</dt><dd>{text(`builder.risk.${info.risk}`)}</dd>
        {info.effect === "write" ? <><dt>{text("builder.reversible")}</dt><dd>{text(info.reversible ? "common.yes" : "common.no")}</dd></> : null}
        {info.permissions?.length ? <><dt>{text("builder.permissions")}</dt><dd className="os-mono os-wrap">{info.permissions.join(", ")}</dd></> : null}
      </dl>
    </details>
  );
}
