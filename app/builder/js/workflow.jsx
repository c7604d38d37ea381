// The workflow's own settings: what it is for, and what it asks for before it runs.
import { useState } from "react";
import { inputName, KINDS, kindOf, orderedInputs, renameInput, withKind } from "./inputs.js";
import { Panel } from "./panel.jsx";
import { Rules } from "./rules.jsx";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";
import { Typed } from "./typed.jsx";

function Input({ name, spec, required, canWrite }) {
  const text = useText();
  const { edits, store } = useBuilder();
  const [open, setOpen] = useState(false);
  const at = ["inputs", "properties", name];
  const set = (changes, label = "inputs") => edits.edit(label, changes);
  const put = (key, value) => set([[[...at, key], value || null]]);
  const names = () => store.get().doc.inputs;
  const require = (on) => {
    const list = (names().required ?? []).filter((one) => one !== name);
    set([[["inputs", "required"], on ? [...list, name] : list]]);
  };
  const rename = (words) => {
    const next = inputName(words);
    if (next && next !== name && !names().properties[next]) set(renameInput(store.get().doc, name, next), "rename");
  };
  const drop = () => set([[at, null], [["inputs", "required"], (names().required ?? []).filter((one) => one !== name)]]);
  const kind = kindOf(spec);
  return (
    <div className="ob-input" data-input={name} data-open={open}>
      <div className="ob-input-head">
        <button type="button" className="os-icon-button" onClick={() => setOpen(!open)} aria-expanded={open} aria-label={text("builder.input_open", { name })}><Icon name={open ? "chevron-down" : "chevron-right"} size={14} /></button>
        <span className="ob-words"><strong className="os-truncate">{spec.title || name}</strong><small className="os-mono os-truncate">{name}</small></span>
        <small className="os-muted">{text(`builder.kind.${kind}`)}{required ? " *" : ""}</small>
        {canWrite ? <button type="button" className="os-icon-button" onClick={drop} aria-label={text("builder.input_delete", { name })}><Icon name="trash" size={14} /></button> : null}
      </div>
      {open ? (
        <fieldset className="ob-input-body" disabled={!canWrite}>
          <label className="os-field"><span className="os-label">{text("builder.input_title")}</span><Typed value={spec.title ?? ""} maxLength={120} onKeep={(words) => put("title", words)} /></label>
          <label className="os-field"><span className="os-label">{text("builder.input_name")}</span><Typed className="os-mono" value={name} maxLength={64} onKeep={rename} /><span className="os-help">{text("builder.input_name_help", { name })}</span></label>
          <label className="os-field"><span className="os-label">{text("builder.input_kind")}</span>
            <select className="os-input" value={kind} onChange={(event) => set([[at, withKind(spec, event.target.value)]])}>
              {Object.keys(KINDS).map((one) => <option key={one} value={one}>{text(`builder.kind.${one}`)}</option>)}
            </select>
          </label>
          {kind === "choice" ? <label className="os-field"><span className="os-label">{text("builder.input_options")}</span><Typed as="textarea" rows={4} value={(spec.enum ?? []).join("\n")} onKeep={(words) => put("enum", [...new Set(words.split("\n").map((line) => line.trim()).filter(Boolean))])} /><span className="os-help">{text("builder.input_options_help")}</span></label> : null}
          {kind === "boolean" || kind === "list" ? null : <label className="os-field"><span className="os-label">{text("builder.input_default")}</span><Typed value={spec.default === undefined ? "" : String(spec.default)} onKeep={(words) => put("default", typed(words, kind))} /></label>}
          <label className="os-field"><span className="os-label">{text("builder.input_help")}</span><Typed value={spec.description ?? ""} maxLength={400} onKeep={(words) => put("description", words)} /></label>
          <label className="os-check"><input type="checkbox" checked={required} onChange={(event) => require(event.target.checked)} />{text("builder.input_required")}</label>
        </fieldset>
      ) : null}
    </div>
  );
}

function typed(words, kind) {
  if (words === "") return null;
  if (kind === "integer" || kind === "number") return Number.isFinite(Number(words)) ? Number(words) : null;
  return words;
}

function AddInput() {
  const text = useText();
  const { edits, store } = useBuilder();
  const [words, setWords] = useState("");
  const [kind, setKind] = useState("text");
  const name = inputName(words);
  const taken = useSelect((s) => Boolean(s.doc.inputs?.properties?.[name]));
  const add = (event) => {
    event.preventDefault();
    if (!name || taken) return;
    const properties = store.get().doc.inputs?.properties ?? {};
    const order = 1 + Math.max(-1, ...Object.values(properties).map((spec) => spec["x-order"] ?? 0));
    const spec = { ...structuredClone(KINDS[kind]), title: words.trim(), "x-order": order };
    const pairs = [[["inputs", "properties", name], spec], [["inputs", "required"], [...(store.get().doc.inputs?.required ?? []), name]]];
    if (!store.get().doc.inputs?.type) pairs.unshift([["inputs", "type"], "object"]);
    edits.edit("inputs", pairs);
    setWords("");
    setKind("text");
  };
  return (
    <form className="ob-add-input" onSubmit={add}>
      <input className="os-input" value={words} maxLength={64} placeholder={text("builder.input_new")} aria-label={text("builder.input_new")} onChange={(event) => setWords(event.target.value)} />
      <select className="os-input" value={kind} onChange={(event) => setKind(event.target.value)} aria-label={text("builder.input_kind")}>
        {Object.keys(KINDS).map((one) => <option key={one} value={one}>{text(`builder.kind.${one}`)}</option>)}
      </select>
      <button type="submit" className="os-button" disabled={!name || taken}><Icon name="plus" size={14} />{text("builder.input_add")}</button>
      {taken ? <span className="os-error">{text("builder.input_taken")}</span> : null}
    </form>
  );
}

export function WorkflowPanel() {
  const text = useText();
  const { edits } = useBuilder();
  const description = useSelect((s) => s.doc.description ?? "");
  const inputs = useSelect((s) => s.doc.inputs);
  const canWrite = useSelect((s) => s.canWrite);
  const ordered = orderedInputs(inputs);
  const required = new Set(inputs?.required ?? []);
  return (
    <Panel title={text("builder.settings")} name="workflow">
      <div className="ob-panel-body">
        <label className="os-field">
          <span className="os-label">{text("builder.field.description")}</span>
          <Typed as="textarea" rows={3} maxLength={10000} disabled={!canWrite} value={description} onKeep={(words) => edits.edit("field", [[["description"], words || null]])} />
        </label>
        <h3>{text("builder.inputs")}</h3>
        <p className="os-help">{text("builder.inputs_help")}</p>
        {Object.entries(ordered.properties).map(([name, spec]) => <Input key={name} {...{ name, spec, canWrite }} required={required.has(name)} />)}
        {canWrite ? <AddInput /> : null}
        <Rules />
      </div>
    </Panel>
  );
}
