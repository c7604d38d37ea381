// Making a workflow: a new one, from a template, or from a file.
import { useEffect, useRef, useState } from "react";
import { given, useQueryPart } from "./address.js";
import { Modal } from "./dialog.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

const LARGEST = 700_000;

function problemsOf(problem, text) {
  if (!problem) return [];
  return (problem.errors?.length ? problem.errors : [problem]).slice(0, 8).map((one) => ({
    where: [one.node, one.field].filter(Boolean).join(" · "),
    words: text.say(one),
  }));
}

// A file whose name is taken is not lost: it becomes a version of what has the name, or gets a name of its own.
function NameTaken({ document, busy, onCreate }) {
  const text = useText();
  const [name, setName] = useState(`${document.name} 2`);
  return (
    <div className="os-callout" data-colour="amber" role="alert">
      <Icon name="triangle-alert" />
      <div className="os-stack">
        <p>{text("workflows.taken", { name: document.name })}</p>
        <button type="button" className="os-button" disabled={busy} onClick={() => onCreate({ document, again: true })}>
          {text("workflows.as_version", { name: document.name })}
        </button>
        <div className="os-line">
          <input className="os-input" aria-label={text("workflows.name")} value={name} maxLength={200} onChange={(event) => setName(event.target.value)} />
          <button type="button" className="os-button" disabled={busy || !name.trim()} onClick={() => onCreate({ document: { ...document, name: name.trim() } })}>
            {text("workflows.under_name")}
          </button>
        </div>
      </div>
    </div>
  );
}

/** The dialog (`?new=1`). `templates` are `{id, name, summary}`; `onCreate({name, template, locale})`, `({document})` for a file, or `({document, again: true})` for a
 * version of what has its name. */
export function NewWorkflow({ templates = [], problem: said, busy, onCreate }) {
  const text = useText();
  const [open, setOpen] = useQueryPart("new");
  const problem = given(said);
  const file = useRef(null);
  const [name, setName] = useState("");
  const [template, setTemplate] = useState("");
  const [unreadable, setUnreadable] = useState(false);
  const [read, setRead] = useState(null);
  useEffect(() => {
    if (open) return;
    setName("");
    setTemplate("");
    setUnreadable(false);
    setRead(null);
  }, [open]);
  const choose = (one) => {
    setTemplate(one?.id ?? "");
    if (one && !name) setName(text.pick(one.name));
  };
  const readFile = async (event) => {
    const found = event.target.files[0];
    event.target.value = "";
    if (!found) return;
    try {
      if (found.size > LARGEST) throw new Error("too large");
      const document = JSON.parse(await found.text());
      onCreate({ document });
      setRead(document);
      setUnreadable(false);
    } catch {
      setUnreadable(true);
    }
  };
  const taken = problem?.code === "name_taken" && read?.name;
  return (
    <Modal open={Boolean(open)} title={text("workflows.new")} onClose={() => setOpen(null)} dirty={Boolean(name) && !busy}>
      <form
        className="os-stack"
        onSubmit={(event) => {
          event.preventDefault();
          setRead(null);
          onCreate({ name: name.trim(), template, locale: text.locale });
        }}
      >
        <label className="os-field">
          <span className="os-label">{text("workflows.name")}</span>
          <input className="os-input" value={name} required autoFocus maxLength={200} onChange={(event) => setName(event.target.value)} />
        </label>
        <fieldset className="os-platforms">
          <legend className="os-label">{text("workflows.start_from")}</legend>
          {[null, ...templates].map((one) => (
            <label key={one?.id ?? ""} className="os-choice-card" data-on={template === (one?.id ?? "")}>
              <input type="radio" name="template" checked={template === (one?.id ?? "")} onChange={() => choose(one)} />
              <span>
                <b>{one ? text.pick(one.name) : text("workflows.blank")}</b>
                <span className="os-help">{one ? text.pick(one.summary) : text("workflows.blank_help")}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {unreadable ? <p className="os-error">{text("workflows.unreadable")}</p> : null}
        {taken ? <NameTaken key={read.name} document={read} busy={busy} onCreate={onCreate} /> : null}
        {(taken ? [] : problemsOf(problem, text)).map((one, index) => (
          <p key={index} className="os-error" role="alert">
            <Icon name="circle-alert" size={12} />
            <span>
              {one.where ? <b className="os-mono">{one.where}: </b> : null}
              {one.words}
            </span>
          </p>
        ))}
        <div className="os-form-foot">
          <button type="button" className="os-button" data-kind="quiet" onClick={() => file.current?.click()}>
            <Icon name="upload" size={14} />
            {text("workflows.import")}
          </button>
          <input ref={file} type="file" accept=".json,application/json" className="os-hidden" aria-label={text("workflows.import")} onChange={readFile} />
          <button type="submit" className="os-button" data-kind="primary" disabled={busy || !name.trim()}>
            {text("workflows.create")}
          </button>
        </div>
      </form>
    </Modal>
  );
}
