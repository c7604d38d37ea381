// What becomes of a workflow's runs as a whole: how many at a time, what a failure or a cancel leads to.
import { NumberField } from "./number_field.jsx";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";
import { Typed } from "./typed.jsx";

const POLICIES = ["queue", "skip", "replace"];
const RULE_FIELDS = ["concurrency", "on_failure", "on_cancel", "error_handler"];

function AtEnd({ name, value, disabled, set }) {
  const text = useText();
  return (
    <label className="os-field">
      <span className="os-label">{text(`builder.rule.${name}`)}</span>
      <select className="os-input" value={value ?? "stop"} disabled={disabled} data-rule={name} onChange={(event) => set([[[name], event.target.value === "stop" ? null : event.target.value]])}>
        {["stop", "compensate"].map((one) => <option key={one} value={one}>{text(`builder.rule.${one}`)}</option>)}
      </select>
    </label>
  );
}

function Concurrency({ rule, disabled, set }) {
  const text = useText();
  const keepKey = (words) => set([[["concurrency"], words.trim() ? { policy: "queue", limit: 1, ...rule, key: words.trim() } : null]]);
  return (
    <>
      <label className="os-field">
        <span className="os-label">{text("builder.rule.key")}</span>
        <Typed className="os-mono" value={rule?.key ?? ""} maxLength={1000} disabled={disabled} placeholder="{{ inputs.email }}" data-rule="key" onKeep={keepKey} />
        <span className="os-help">{text("builder.rule.key_help")}</span>
      </label>
      {rule ? (
        <div className="ob-pair">
          <NumberField label={text("builder.rule.limit")} value={rule.limit ?? 1} min={1} max={1000} disabled={disabled} onKeep={(number) => set([[["concurrency", "limit"], Math.round(number ?? 1)]])} />
          <label className="os-field">
            <span className="os-label">{text("builder.rule.policy")}</span>
            <select className="os-input" value={rule.policy ?? "queue"} disabled={disabled} data-rule="policy" onChange={(event) => set([[["concurrency", "policy"], event.target.value]])}>
              {POLICIES.map((one) => <option key={one} value={one}>{text(`builder.rule.policy.${one}`)}</option>)}
            </select>
          </label>
        </div>
      ) : null}
    </>
  );
}

export function Rules() {
  const text = useText();
  const { edits } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const concurrency = useSelect((s) => s.doc.concurrency ?? null);
  const onFailure = useSelect((s) => s.doc.on_failure);
  const onCancel = useSelect((s) => s.doc.on_cancel);
  const handler = useSelect((s) => s.doc.error_handler?.workflow ?? "");
  const problems = useSelect((s) => s.problems);
  const own = problems.filter((problem) => !problem.node && RULE_FIELDS.includes((problem.field ?? "").split(".")[0]));
  const set = (pairs) => edits.edit("field", pairs);
  const shared = { disabled: !canWrite, set };
  return (
    <>
      <h3>{text("builder.rules")}</h3>
      {own.map((problem, i) => <div key={i} className="os-callout" data-colour="red"><Icon name="circle-alert" size={15} /><span>{text.say(problem)}</span></div>)}
      <AtEnd name="on_failure" value={onFailure} {...shared} />
      <AtEnd name="on_cancel" value={onCancel} {...shared} />
      <p className="os-help">{text("builder.rule.compensate_help")}</p>
      <label className="os-field">
        <span className="os-label">{text("builder.rule.error_handler")}</span>
        <Typed value={handler} maxLength={200} disabled={!canWrite} data-rule="error_handler" onKeep={(words) => set([[["error_handler"], words.trim() ? { workflow: words.trim() } : null]])} />
        <span className="os-help">{text("builder.rule.error_handler_help")}</span>
      </label>
      <Concurrency rule={concurrency} {...shared} />
    </>
  );
}
