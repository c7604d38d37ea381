// Adding a trigger, or changing one. It is sent over HTTP, never through the page's state: the answer may hold a webhook's secret.
import { useEffect, useState } from "react";
import { useParams } from "react-router";
import { useQueryPart } from "./address.js";
import { Modal } from "./dialog.jsx";
import { notify } from "./feedback.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { PRIORITIES } from "./priority.jsx";
import { SchemaForm } from "./schema_form.jsx";

const KINDS = { schedule: "calendar", webhook: "webhook", event: "zap" };
const EVENTS = ["run_ended", "approval_decided", "people_asked", "people_reminded", "drift_found", "drift_cleared", "change_seen"];
const INPUT = "input:";

const words = (text, key) => ({ en: text(key), fr: text(key) });
const field = (text, name, spec) => ({ ...spec, "x-title": words(text, `triggers.${name}`) });
const helped = (text, name, spec) => ({ ...field(text, name, spec), "x-help": words(text, `triggers.${name}_help`) });
const options = (text, prefix, values) => ({
  enum: values,
  "x-options": Object.fromEntries(values.map((value) => [value, words(text, `triggers.${prefix}_${value}`)])),
});

const FREE = ["watch", "zone", "catch_up", "jitter_s", "priority"];

function ownFields(kind, text, changed) {
  const names = Object.fromEntries(PRIORITIES.map((one) => [one, words(text, `priority.${one}`)]));
  return { ...kindFields(kind, text, changed), priority: { enum: PRIORITIES, "x-options": names, "x-title": words(text, "priority.label") } };
}

function kindFields(kind, text, changed) {
  if (kind === "schedule") {
    return {
      cron: helped(text, "cron", { type: "string", "x-placeholder": "30 2 * * 1-5" }),
      zone: field(text, "zone", { type: "string", "x-placeholder": "Europe/Paris" }),
      catch_up: field(text, "catch_up", options(text, "catch_up", ["skip", "one", "all"])),
      jitter_s: helped(text, "jitter", { type: "integer", minimum: 0 }),
      watch: helped(text, "watch", { type: "boolean" }),
    };
  }
  // What a sender proves itself with stays as it was made: its secret would be of the wrong kind.
  if (kind === "webhook" && changed) return {};
  if (kind === "webhook") return { auth: field(text, "proof", options(text, "auth", ["signature", "secret"])) };
  return { on: field(text, "event", options(text, "on", EVENTS)) };
}

// The fields of the kind, and the inputs of the workflow that was chosen.
function schemaOf(kind, flows, inputs, text, changed) {
  const flow = { enum: flows.map((one) => one.id), "x-options": Object.fromEntries(flows.map((one) => [one.id, one.name])) };
  const own = {
    name: field(text, "name", { type: "string" }),
    workflow: field(text, "workflow", flow),
    ...ownFields(kind, text, changed),
    mode: field(text, "mode", options(text, "mode", ["plan", "apply"])),
  };
  const given = Object.entries(inputs?.properties ?? {}).map(([name, spec]) => [INPUT + name, { title: name, ...spec }]);
  const all = { ...own, ...Object.fromEntries(given) };
  const properties = Object.fromEntries(Object.entries(all).map(([name, spec], index) => [name, { ...spec, "x-order": index }]));
  const required = ["name", "workflow", "mode", ...Object.keys(ownFields(kind, text, changed)).filter((name) => !FREE.includes(name))];
  return { type: "object", $defs: inputs?.$defs, properties, required };
}

// The values of a trigger that is there, as the form has them.
function valuesOf({ name, workflow_id: workflow, mode, watch, config, inputs }) {
  const given = Object.fromEntries(Object.entries(inputs).map(([key, value]) => [INPUT + key, value]));
  return { priority: "normal", ...config, name, workflow, mode, watch, ...given };
}

// What the form has no field for stays as it is; what was emptied goes.
function changeOf(trigger, values, text) {
  const { kind, config, ...rest } = bodyOf(trigger.kind, values);
  const own = ownFields(kind, text, true);
  const kept = Object.fromEntries(Object.entries(trigger.config).filter(([name]) => !(name in own)));
  return { ...rest, config: { ...kept, ...config }, revision: trigger.revision };
}

function bodyOf(kind, values) {
  const { name, workflow, mode, watch, ...rest } = values;
  const entries = Object.entries(rest);
  const config = Object.fromEntries(entries.filter(([key]) => !key.startsWith(INPUT)));
  const inputs = Object.fromEntries(entries.filter(([key]) => key.startsWith(INPUT)).map(([key, value]) => [key.slice(INPUT.length), value]));
  return { name, kind, workflow, mode, watch: Boolean(watch), config, inputs };
}

function errorsOf(problem) {
  const found = {};
  for (const one of problem?.errors ?? []) {
    const [first, second] = String(one.field ?? "").replace(/^config\./, "").split(".");
    (found[first === "inputs" ? INPUT + second : first] ??= []).push(one);
  }
  return found;
}

async function send(client, body, trigger) {
  try {
    const headers = { Accept: "application/json", "Content-Type": "application/json" };
    const address = `/api/v1/clients/${client}/triggers${trigger ? `/${trigger.id}` : ""}`;
    const answer = await fetch(address, { method: trigger ? "PATCH" : "POST", headers, body: JSON.stringify(body) });
    const said = await answer.json().catch(() => ({}));
    return answer.ok ? { made: said } : { problem: said.code ? said : { code: "unexpected" } };
  } catch {
    return { problem: { code: "unavailable" } };
  }
}

function Handed({ name, value }) {
  const text = useText();
  const copy = async () => {
    await navigator.clipboard.writeText(value);
    notify({ kind: "success", key: "common.copied" });
  };
  return (
    <label className="os-field">
      <span className="os-label">{text(`triggers.${name}`)}</span>
      <span className="os-line">
        <input className="os-input os-mono" readOnly value={value} onFocus={(event) => event.target.select()} />
        <button type="button" className="os-button" onClick={copy}>
          <Icon name="copy" size={13} />
          {text("common.copy")}
        </button>
      </span>
    </label>
  );
}

function Secret({ made, onClose }) {
  const text = useText();
  return (
    <div className="os-stack">
      <p className="os-small">{text("triggers.secret_once")}</p>
      <Handed name="address" value={made.url} />
      <Handed name="secret" value={made.secret} />
      <div className="os-form-foot">
        <button type="button" className="os-button" data-kind="primary" onClick={onClose}>
          {text("common.close")}
        </button>
      </div>
    </div>
  );
}

function Fields({ kind, trigger = null, workflows, toFill, onChoose, onMade, onBack }) {
  const text = useText();
  const { client } = useParams();
  const [flow, setFlow] = useState(trigger?.workflow_id ?? "");
  const [value] = useState(() => (trigger ? valuesOf(trigger) : { mode: "plan", auth: "signature", priority: "normal" }));
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (trigger) onChoose(trigger.workflow_id);
  }, []);
  const errors = errorsOf(problem);
  const whole = errors[""]?.[0] ?? (problem && !problem.errors?.length ? problem : null);
  const change = (name, value) => {
    if (name !== "workflow") return;
    setFlow(value);
    if (value) onChoose(value);
  };
  const submit = async (values) => {
    setBusy(true);
    const { made, problem: said } = await send(client, trigger ? changeOf(trigger, values, text) : bodyOf(kind, values), trigger);
    setBusy(false);
    if (made) onMade(made);
    else setProblem(said);
  };
  const inputs = toFill?.id === flow ? toFill.inputs : null;
  // A workflow that is not published any more can still be the one that an older trigger starts.
  const missing = trigger && !workflows.some((one) => one.id === trigger.workflow_id);
  const flows = missing ? [...workflows, { id: trigger.workflow_id, name: trigger.workflow_name }] : workflows;
  return (
    <div className="os-stack">
      {whole ? (
        <div className="os-callout" data-colour="red" role="alert">
          <Icon name="circle-alert" />
          <span>{text.say(whole)}</span>
        </div>
      ) : null}
      {inputs && kind !== "schedule" ? <p className="os-muted os-small">{text("triggers.inputs_help", { example: "{{ payload.user.mail }}" })}</p> : null}
      {trigger?.enabled ? <p className="os-muted os-small">{text("triggers.change_help")}</p> : null}
      <SchemaForm
        schema={schemaOf(kind, flows, inputs, text, Boolean(trigger))}
        value={value}
        errors={errors}
        onChange={change}
        onSubmit={submit}
        onCancel={onBack}
        submit={text(trigger ? "common.save" : "triggers.add_on")}
        busy={busy || Boolean(trigger && !inputs)}
      />
    </div>
  );
}

/** The dialog that adds one (`?add=1`): first its kind, then what it is told. It is switched on in the reader's name. */
export function AddTrigger({ triggers = [], ...rest }) {
  const [edited, setEdited] = useQueryPart("edit");
  const trigger = triggers.find((one) => one.id === edited);
  return trigger ? <ChangeTrigger key={trigger.id} trigger={trigger} {...rest} onClose={() => setEdited(null)} /> : <NewTrigger {...rest} />;
}

// One that is there (`?edit=`). What is shown is what it was when it was opened; a change meanwhile is told when saving.
function ChangeTrigger({ trigger, workflows = [], toFill = {}, onChoose, onAdded, onClose }) {
  const text = useText();
  const [seen] = useState(trigger);
  const done = () => {
    onAdded();
    onClose();
  };
  return (
    <Modal open title={text("triggers.change_title", { name: seen.name })} onClose={onClose} width="560px">
      <Fields kind={seen.kind} trigger={seen} {...{ workflows, toFill, onChoose }} onMade={done} onBack={onClose} />
    </Modal>
  );
}

function NewTrigger({ workflows = [], toFill = {}, onChoose, onAdded }) {
  const text = useText();
  const [open, setOpen] = useQueryPart("add");
  const [kind, setKind] = useState(null);
  const [made, setMade] = useState(null);
  useEffect(() => {
    if (open) return;
    setKind(null);
    setMade(null);
  }, [open]);
  const done = (found) => {
    onAdded();
    if (found.secret) setMade(found);
    else setOpen(null);
  };
  return (
    <Modal open={Boolean(open)} title={text("triggers.add")} onClose={() => setOpen(null)} width="560px">
      {made ? (
        <Secret made={made} onClose={() => setOpen(null)} />
      ) : kind ? (
        <Fields {...{ kind, workflows, toFill, onChoose }} onMade={done} onBack={() => setKind(null)} />
      ) : (
        <ul className="os-platforms">
          {Object.entries(KINDS).map(([name, icon]) => (
            <li key={name}>
              <button type="button" className="os-choice-card" onClick={() => setKind(name)}>
                <Icon name={icon} size={20} />
                <span>
                  <b>{text(`triggers.kind_${name}`)}</b>
                  <span className="os-help">{text(`triggers.kind_${name}_help`)}</span>
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </Modal>
  );
}
