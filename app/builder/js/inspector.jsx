// The opened step: its parameters, its settings, and what the last plan or run made of it.
import { useEffect, useMemo, useRef, useState } from "react";
import { SchemaForm } from "$/public/external/app/ui/js/schema_form.jsx";
import { BodySettings } from "./body.jsx";
import { fieldOf, isEarly, plannedOf, problemsOf } from "./derive.js";
import { titleOf } from "./node.jsx";
import { Outcome, OUTCOME_TABS } from "./outcome.jsx";
import { Panel } from "./panel.jsx";
import { referencesFor } from "./references.js";
import { StepSettings } from "./settings.jsx";
import { Icon, StateBadge, useText } from "./shared.js";
import { StepIcon } from "./step_icon.jsx";
import { useBuilder, useSelect } from "./store.js";
import { holdsSteps } from "./view.js";

const sameItems = (one, other) => one.length === other.length && one.every((item, i) => item === other[i]);

// Problems by the parameter they speak of; the rest concern the step as a whole.
function sorted(problems, known) {
  const fields = {};
  const rest = [];
  for (const problem of problems) {
    const field = fieldOf(problem);
    if (known.has(field)) (fields[field] ??= []).push(problem);
    else rest.push(problem);
  }
  return { fields, rest };
}

function useChoices(node, info) {
  const { send, store } = useBuilder();
  const found = useSelect((s) => s.choices);
  const keyOf = (field) => `${node.id}|${node.connection}|${field}`;
  const choices = useMemo(() => {
    const live = Object.entries(info?.params?.properties ?? {}).filter(([, spec]) => spec["x-choices"]);
    return Object.fromEntries(live.map(([field]) => [field, found[keyOf(field)]]).filter(([, got]) => got));
  }, [found, info, node.id, node.connection]);
  const ask = (field) => {
    const spec = info?.params?.properties?.[field]?.["x-choices"];
    const request = keyOf(field);
    const known = store.get().choices[request];
    if (!spec || known?.state === "loading") return;
    // What is known is shown at once and asked for again: seats and groups change.
    if (!known) store.set((s) => ({ choices: { ...s.choices, [request]: { state: "loading", rows: [] } } }));
    send("onChoices", { request, connection: node.connection ?? "", type: node.type, field });
  };
  return [choices, ask];
}

// Who may approve is chosen from the roles there are.
function withRoles(schema, roles) {
  const spec = schema.properties?.roles;
  if (spec?.["x-widget"] !== "multiselect" || spec.items?.enum) return schema;
  const listed = { ...spec, items: { ...spec.items, enum: Object.keys(roles) }, "x-options": roles };
  return { ...schema, properties: { ...schema.properties, roles: listed } };
}

// What a step may look with: the actions that read.
function withReads(schema, types, text) {
  const name = Object.keys(schema.properties ?? {}).find((one) => schema.properties[one]["x-widget"] === "read_action");
  if (!name) return schema;
  const reads = Object.values(types).filter((type) => type.effect === "read");
  const words = Object.fromEntries(reads.map((type) => [type.id, { ...type.title }]));
  const { anyOf, ...spec } = schema.properties[name];
  const listed = { ...spec, type: "string", enum: reads.map((type) => type.id), "x-options": words };
  return { ...schema, properties: { ...schema.properties, [name]: listed } };
}

// The platform that a step needs a connection of: its own, or that of the action it looks with.
function platformOf(node, info) {
  const looked = info?.polls && node.params?.mode === "condition" ? node.params[info.polls.action] : null;
  return looked ? looked.split(".")[0] : info?.connection;
}

function Parameters({ node, info, problems }) {
  const text = useText();
  const { actions } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const doc = useSelect((s) => s.doc);
  const types = useSelect((s) => s.types);
  const variables = useSelect((s) => s.variables);
  const [choices, ask] = useChoices(node, info);
  const references = useMemo(() => referencesFor(doc, node.id, { types, variables, text }), [doc.nodes, doc.edges, doc.inputs, node.id, types, variables, text]);
  const known = useMemo(() => new Set(Object.keys(info.params?.properties ?? {})), [info]);
  const ripe = useSelect((s) => problems.filter((problem) => !isEarly(s, problem)), sameItems);
  const { fields, rest } = useMemo(() => sorted(ripe, known), [ripe, known]);
  const roles = useSelect((s) => s.roles);
  const schema = useMemo(() => withReads(withRoles(info.params, roles), types, text), [info, roles, types, text]);
  const change = (field, value) => actions.setField(node.id, ["params", field], value === "" ? null : value);
  return (
    <>
      {rest.map((problem, i) => (
        <div key={i} className="os-callout" data-colour={problem.severity === "warning" ? "amber" : "red"}><Icon name="circle-alert" size={15} /><span>{text.say(problem)}</span></div>
      ))}
      {known.size ? (
        <SchemaForm key={node.id} schema={schema} value={node.params ?? {}} errors={fields} choices={choices} onChange={change} onType={change} onChoices={ask}
          expressions references={references} readOnly={!canWrite} />
      ) : (
        <p className="os-muted">{text("builder.no_params")}</p>
      )}
    </>
  );
}

function Connection({ node, info }) {
  const text = useText();
  const { actions } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const connections = useSelect((s) => s.connections);
  const problems = useSelect((s) => problemsOf(s, node.id));
  const platform = platformOf(node, info);
  if (!platform) return null;
  const rows = connections.filter((row) => row.platform === platform);
  const listed = rows.some((row) => row.alias === node.connection);
  const wrong = problems.find((problem) => problem.field === "connection");
  return (
    <label className="os-field">
      <span className="os-label">{text("builder.connection")}</span>
      <select className="os-input" value={node.connection ?? ""} disabled={!canWrite} aria-invalid={Boolean(wrong)} data-field="connection"
        onChange={(event) => actions.setField(node.id, ["connection"], event.target.value, false)}>
        {listed ? null : <option value={node.connection ?? ""}>{node.connection || text("builder.choose")}</option>}
        {rows.map((row) => <option key={row.alias} value={row.alias}>{row.name === row.alias ? row.name : `${row.name} (${row.alias})`}</option>)}
      </select>
      {wrong ? <span className="os-error"><Icon name="circle-alert" size={13} />{text.say(wrong)}</span> : null}
    </label>
  );
}

function Title({ node, info }) {
  const text = useText();
  const { actions, store } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const renaming = useSelect((s) => s.renaming);
  const field = useRef(null);
  useEffect(() => {
    if (!renaming) return;
    field.current?.focus();
    field.current?.select();
    store.set({ renaming: false });
  }, [renaming, node.id]);
  return (
    <div className="ob-inspector-title">
      <span className="ob-icon" data-category={info?.category}><StepIcon info={info} size={18} /></span>
      <span className="ob-words">
        <input ref={field} className="ob-title-field" value={node.name ?? ""} placeholder={titleOf({ ...node, name: "" }, info, text)} disabled={!canWrite} maxLength={200}
          aria-label={text("builder.step_name")} onChange={(event) => actions.setField(node.id, ["name"], event.target.value)}
          onKeyDown={(event) => event.key === "Enter" && event.target.blur()} />
        <small className="os-mono os-truncate" title={node.type}>{node.id}</small>
      </span>
    </div>
  );
}

function Tabs({ tabs, active, onChoose }) {
  const text = useText();
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(active) + step + tabs.length) % tabs.length];
    onChoose(next);
    event.currentTarget.querySelector(`[data-tab=${next}]`)?.focus();
  };
  return (
    <div className="ob-tabs" role="tablist" onKeyDown={onKeyDown}>
      {tabs.map((tab) => (
        <button key={tab} type="button" role="tab" aria-selected={tab === active} tabIndex={tab === active ? 0 : -1} data-tab={tab} onClick={() => onChoose(tab)}>{text(`builder.tab.${tab}`)}</button>
      ))}
    </div>
  );
}

function Footer({ node, info }) {
  const text = useText();
  const { store } = useBuilder();
  const granted = useSelect((s) => s.permissions);
  const open = (mode) => store.set({ dialog: { kind: "start", mode, node: node.id } });
  if (!info || !granted.has("run.plan")) return null;
  return (
    <footer className="ob-panel-foot">
      <button type="button" className="os-button" onClick={() => open("plan")} data-action="plan-step"><Icon name="list-checks" size={15} />{text("builder.try_step")}</button>
      {granted.has("run.start") && granted.has("workflow.write") ? <button type="button" className="os-button" onClick={() => open("apply")} data-action="run-step"><Icon name="play" size={15} />{text("builder.run_step")}</button> : null}
    </footer>
  );
}

export function Inspector() {
  const text = useText();
  const { store } = useBuilder();
  const id = useSelect((s) => s.openNode);
  const node = useSelect((s) => s.doc?.nodes[s.openNode]);
  const info = useSelect((s) => s.types[s.doc?.nodes[s.openNode]?.type]);
  const problems = useSelect((s) => problemsOf(s, s.openNode));
  const step = useSelect((s) => s.run?.nodes[s.openNode] ?? null);
  const planned = useSelect((s) => plannedOf(s, s.openNode));
  const [chosen, choose] = useState("params");
  if (!node) return null;
  const outcome = OUTCOME_TABS.filter((tab) => tab.has(step, planned)).map((tab) => tab.id);
  const tabs = ["params", "settings", ...outcome];
  const active = tabs.includes(chosen) ? chosen : "params";
  const close = () => store.set({ openNode: null });
  const state = step?.state && step.state !== "pending" ? step.state : null;
  return (
    <Panel name="node" title={<Title node={node} info={info} />} onClose={close} actions={state ? <StateBadge state={state} /> : null}>
      <Tabs tabs={tabs} active={active} onChoose={choose} />
      <div className="ob-panel-body" data-body={active} role="tabpanel">
        {active === "params" && !info ? <div className="os-callout" data-colour="red"><Icon name="help" size={15} /><span>{text("builder.unknown_type_help", { type: node.type })}</span></div> : null}
        {active === "params" && info ? <Summary node={node} info={info} /> : null}
        {active === "params" && info ? <Connection node={node} info={info} /> : null}
        {active === "params" && info ? <Parameters node={node} info={info} problems={problems.filter((problem) => problem.field !== "connection")} /> : null}
        {active === "params" && holdsSteps(info) ? <BodySettings key={id} node={node} /> : null}
        {active === "settings" ? <StepSettings node={node} info={info} /> : null}
        {outcome.includes(active) ? <Outcome tab={active} node={node} step={step} planned={planned} /> : null}
      </div>
      <Footer node={node} info={info} key={id} />
    </Panel>
  );
}

function Summary({ node, info }) {
  const text = useText();
  const irreversible = info.effect === "write" && !info.reversible;
  return (
    <div className="ob-summary">
      <p>{text.pick(info.summary)}</p>
      {irreversible ? <p className="ob-warning"><Icon name="triangle-alert" size={14} />{text(info.irreversible_reason ? "builder.irreversible_why" : "builder.irreversible", { why: text.pick(info.irreversible_reason ?? {}) })}</p> : null}
    </div>
  );
}
