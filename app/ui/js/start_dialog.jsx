// Starting a workflow: its inputs as a form, or a table with a row for each run. Nothing starts before it was checked.
import { useEffect, useMemo, useState } from "react";
import { given, useQueryChange, useQueryPart } from "./address.js";
import { Modal } from "./dialog.jsx";
import { Skeleton } from "./feedback.jsx";
import { useText } from "./i18n.js";
import { Priority } from "./priority.jsx";
import { SchemaForm } from "./schema_form.jsx";
import { TableStart } from "./start_table.jsx";

const defaultsOf = (schema) =>
  Object.fromEntries(
    Object.entries(schema?.properties ?? {})
      .filter(([, spec]) => spec.default !== undefined)
      .map(([name, spec]) => [name, spec.default]),
  );

const byField = (problem) => {
  const found = {};
  for (const one of problem?.errors ?? []) (found[String(one.field ?? "").split(".")[0]] ??= []).push(one);
  return found;
};

function OneStart({ workflow, problem, busy, onStart, may }) {
  const text = useText();
  const [mode, setMode] = useState("plan");
  const [priority, setPriority] = useState("normal");
  const fields = Object.keys(workflow.inputs?.properties ?? {}).length;
  const value = useMemo(() => ({ ...defaultsOf(workflow.inputs), ...workflow.given }), [workflow]);
  const errors = byField(problem);
  const whole = problem && (!problem.errors?.length || errors[""]);
  const submit = (values) => onStart({ workflow: workflow.id, version: workflow.version, inputs: values, mode, priority });
  return (
    <div className="os-stack">
      {whole ? <p className="os-error">{text.say(errors[""]?.[0] ?? problem)}</p> : null}
      <fieldset className="os-choice-row">
        <legend className="os-hidden">{text("start.mode")}</legend>
        {["plan", "apply"].map((one) => (
          <label key={one} className="os-choice-card" data-on={mode === one}>
            <input type="radio" name="mode" checked={mode === one} disabled={one === "apply" && !may.start} onChange={() => setMode(one)} />
            <span>
              <b>{text(`start.mode_${one}`)}</b>
              <span className="os-help">{text(`start.mode_${one}_help`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {fields === 0 ? <p className="os-muted os-small">{text("start.no_inputs")}</p> : null}
      <SchemaForm
        schema={workflow.inputs ?? { type: "object", properties: {} }}
        value={value}
        errors={errors}
        onSubmit={submit}
        beside={<Priority value={priority} onChange={setPriority} may={may} />}
        submit={text(mode === "plan" ? "start.plan" : "start.run")}
        busy={busy}
      />
    </div>
  );
}

/**
 * The dialog. It is open while the address names a workflow (`?start=`), whose inputs `onOpen(id, run)` asks for; `run`
 * (`?from=`) is one whose inputs are taken over. `checked` are the rows of the table that was given last.
 */
export function StartDialog({ workflow: known, checked, problem: said, busy, may = {}, onOpen, onStart, onCheck, onStartTable }) {
  const text = useText();
  const [wanted] = useQueryPart("start");
  const [from] = useQueryPart("from");
  const change = useQueryChange();
  const [tab, setTab] = useState("one");
  const problem = given(said);
  // A second click is the same start, however slow the first.
  const key = useMemo(() => crypto.randomUUID(), [wanted, from]);
  const once = (start) => (sent) => start({ ...sent, key });
  const loaded = wanted && known?.id === wanted && (known?.from ?? "") === (from ?? "");
  const workflow = loaded ? known : null;
  useEffect(() => {
    setTab("one");
    if (wanted) onOpen(wanted, from ?? "");
  }, [wanted, from]);
  return (
    <Modal open={Boolean(wanted)} title={workflow?.name ?? ""} onClose={() => change({ start: null, from: null })} width="620px">
      {!workflow ? (
        <Skeleton rows={5} />
      ) : (
        <>
          <div className="os-tabs" role="tablist">
            {["one", "table"].map((name) => (
              <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)}>
                {text(`start.tab_${name}`)}
              </button>
            ))}
          </div>
          {tab === "one" ? (
            <OneStart {...{ workflow, problem, busy, may }} onStart={once(onStart)} />
          ) : (
            <TableStart {...{ workflow, checked, problem, busy, may, onCheck }} onStart={once(onStartTable)} />
          )}
        </>
      )}
    </Modal>
  );
}
