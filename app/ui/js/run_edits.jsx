// Outputs written by hand for a run that begins again at a later step.
import { useEffect, useState } from "react";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

/** What was written so far by step, and a function that keeps or (null) drops one. */
export function useEdits(run) {
  const [edits, setEdits] = useState({});
  useEffect(() => setEdits({}), [run?.id]);
  const keep = (node, output) =>
    setEdits((now) => Object.fromEntries(Object.entries({ ...now, [node]: output }).filter(([, value]) => value !== null)));
  return [edits, keep];
}

/** Says which outputs are written by hand, and that nothing has come of it yet. */
export function Edited({ edits, steps, onKeep }) {
  const text = useText();
  const names = Object.keys(edits);
  if (names.length === 0) return null;
  return (
    <div className="os-callout" data-colour="blue" role="status">
      <Icon name="pencil" />
      <span>{text("run.edits", { names: names.map((node) => steps.find((step) => step.node === node)?.name ?? node) })}</span>
      <button type="button" className="os-button" data-size="small" onClick={() => names.forEach((node) => onKeep(node, null))}>
        {text("run.edits_drop")}
      </button>
    </div>
  );
}

/** A step's output as text that can be changed. */
export function EditOutput({ step, edited, onKeep }) {
  const text = useText();
  const [draft, setDraft] = useState(null);
  const [wrong, setWrong] = useState("");
  const start = () => setDraft(JSON.stringify(edited ?? step.output ?? {}, null, 2));
  if (draft === null) {
    return (
      <button type="button" className="os-button" data-size="small" onClick={start} data-edit-output>
        <Icon name="pencil" size={12} />
        {text("run.edit_output")}
      </button>
    );
  }
  const keep = () => {
    try {
      onKeep(step.node, JSON.parse(draft));
      setDraft(null);
      setWrong("");
    } catch (error) {
      setWrong(error.message);
    }
  };
  return (
    <div className="os-field">
      <label className="os-label" htmlFor="edit-output">
        {text("run.edit_output")}
      </label>
      <textarea id="edit-output" className="os-input os-mono" rows={10} spellCheck={false} value={draft} aria-invalid={Boolean(wrong)} onChange={(event) => setDraft(event.target.value)} />
      {wrong ? (
        <span className="os-error" role="alert">
          {text("run.edit_not_json", { why: wrong })}
        </span>
      ) : (
        <span className="os-help">{text("run.edit_help")}</span>
      )}
      <p className="os-line">
        <button type="button" className="os-button" data-size="small" onClick={() => setDraft(null)}>
          {text("common.cancel")}
        </button>
        <button type="button" className="os-button" data-size="small" data-kind="primary" onClick={keep}>
          {text("run.edit_keep")}
        </button>
      </p>
    </div>
  );
}
