// Dialogs: start a plan or a run, save a version, publish, settle edits that met, the list of keys.
import { useMemo, useState } from "react";
import { Dialog } from "@radix-ui/themes";
import { SchemaForm } from "$/public/external/app/ui/js/schema_form.jsx";
import { ConflictDialog } from "./conflict.jsx";
import { KEYS } from "./keys.js";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";
import { orderedInputs } from "./inputs.js";
import { titleOf } from "./node.jsx";

function StartDialog({ dialog, close }) {
  const text = useText();
  const { runs } = useBuilder();
  const schema = useSelect((s) => s.doc.inputs);
  const node = useSelect((s) => s.doc.nodes[dialog.node]);
  const info = useSelect((s) => s.types[s.doc.nodes[dialog.node]?.type]);
  const ordered = useMemo(() => orderedInputs(schema), [schema]);
  const [value, setValue] = useState(() => ({ ...defaultsOf(ordered), ...known(runs.lastInputs(), ordered) }));
  const [errors, setErrors] = useState({});
  const plan = dialog.mode === "plan";
  const submit = (given = value) => {
    const missing = (ordered.required ?? []).filter((name) => given[name] === undefined || given[name] === "");
    if (missing.length) {
      setErrors(Object.fromEntries(missing.map((name) => [name, [{ code: "missing_param", message: "" }]])));
      return;
    }
    runs.start({ mode: dialog.mode, inputs: given, node: dialog.node ?? null });
  };
  const change = (field, next) => {
    setErrors(({ [field]: gone, ...rest }) => rest);
    setValue((now) => ({ ...now, [field]: next }));
  };
  const title = dialog.node
    ? text("builder.start_step", { step: titleOf(node, info, text) })
    : text(plan ? "builder.start_plan" : "builder.start_run");
  const label = text(plan ? "builder.plan" : "builder.run");
  const fields = Object.keys(ordered.properties ?? {}).length;
  return (
    <>
      <Dialog.Title size="4">{title}</Dialog.Title>
      <Dialog.Description size="2" className="os-muted">{text(plan ? "builder.start_plan_help" : "builder.start_run_help")}</Dialog.Description>
      <div className="ob-dialog-body">
        {fields ? (
          <SchemaForm schema={ordered} value={value} errors={errors} onChange={change} onSubmit={submit} onCancel={close} submit={label} />
        ) : (
          <p className="os-muted">{text("builder.no_inputs")}</p>
        )}
      </div>
      {fields ? null : (
        <div className="ob-dialog-foot">
          <button type="button" className="os-button" onClick={close}>{text("common.cancel")}</button>
          <button type="button" className="os-button" data-kind="primary" autoFocus onClick={() => submit()}>{label}</button>
        </div>
      )}
    </>
  );
}

const defaultsOf = (schema) =>
  Object.fromEntries(Object.entries(schema.properties ?? {}).filter(([, spec]) => spec.default !== undefined).map(([name, spec]) => [name, spec.default]));

const known = (values, schema) => Object.fromEntries(Object.entries(values).filter(([name]) => schema.properties?.[name]));

function VersionDialog({ close }) {
  const text = useText();
  const { store, send } = useBuilder();
  const [note, setNote] = useState("");
  const latest = useSelect((s) => s.workflow.latest_version ?? 0);
  const errors = useSelect((s) => s.problems.filter((problem) => problem.severity !== "warning").length);
  const save = (event) => {
    event.preventDefault();
    store.set({ dialog: null, starting: "version" });
    send("onSaveVersion", { note: note.trim(), revision: store.get().revision });
  };
  return (
    <form onSubmit={save}>
      <Dialog.Title size="4">{text("builder.save_version_as", { version: latest + 1 })}</Dialog.Title>
      <Dialog.Description size="2" className="os-muted">{text("builder.version_help")}</Dialog.Description>
      <div className="ob-dialog-body">
        {errors ? <div className="os-callout" data-colour="red"><Icon name="circle-alert" size={15} /><span>{text("builder.mend_first", { count: errors })}</span></div> : null}
        <label className="os-field">
          <span className="os-label">{text("builder.note")}</span>
          <textarea className="os-input" rows={3} maxLength={1000} autoFocus value={note} onChange={(event) => setNote(event.target.value)}
            onKeyDown={(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && save(event)} />
          <span className="os-help">{text("builder.note_help")}</span>
        </label>
      </div>
      <div className="ob-dialog-foot">
        <button type="button" className="os-button" onClick={close}>{text("common.cancel")}</button>
        <button type="submit" className="os-button" data-kind="primary" disabled={errors > 0}>{text("builder.save_version")}</button>
      </div>
    </form>
  );
}

function PublishDialog({ dialog, close }) {
  const text = useText();
  const { store, send } = useBuilder();
  const workflow = useSelect((s) => s.workflow);
  const revision = useSelect((s) => s.revision);
  const errors = useSelect((s) => s.problems.filter((problem) => problem.severity !== "warning").length);
  const asked = dialog.version ?? null;
  const fresh = asked === null && (!workflow.latest_version || workflow.version_revision !== revision);
  const version = asked ?? (fresh ? (workflow.latest_version ?? 0) + 1 : workflow.latest_version);
  const publish = () => {
    store.set({ dialog: null, starting: "publish" });
    send("onPublish", { version: fresh ? null : version, revision });
  };
  return (
    <>
      <Dialog.Title size="4">{text("builder.publish_version", { version })}</Dialog.Title>
      <Dialog.Description size="2" className="os-muted">{text(fresh ? "builder.publish_fresh_help" : "builder.publish_help", { version })}</Dialog.Description>
      <div className="ob-dialog-body">
        {fresh && errors ? <div className="os-callout" data-colour="red"><Icon name="circle-alert" size={15} /><span>{text("builder.mend_first", { count: errors })}</span></div> : null}
      </div>
      <div className="ob-dialog-foot">
        <button type="button" className="os-button" onClick={close}>{text("common.cancel")}</button>
        <button type="button" className="os-button" data-kind="primary" autoFocus disabled={fresh && errors > 0} onClick={publish}>{text("builder.publish")}</button>
      </div>
    </>
  );
}

function KeysDialog({ close }) {
  const text = useText();
  return (
    <>
      <Dialog.Title size="4">{text("builder.keys")}</Dialog.Title>
      <div className="ob-keys">
        {KEYS.map(([group, rows]) => (
          <section key={group}>
            <h3>{text(`builder.keys.${group}`)}</h3>
            <dl>{rows.map(([keys, key]) => <div key={key}><dt>{text(key)}</dt><dd>{keys.map((one) => <kbd key={one} className="os-key">{one}</kbd>)}</dd></div>)}</dl>
          </section>
        ))}
      </div>
      <div className="ob-dialog-foot"><button type="button" className="os-button" onClick={close}>{text("common.close")}</button></div>
    </>
  );
}

const DIALOGS = { start: StartDialog, version: VersionDialog, publish: PublishDialog, keys: KeysDialog, conflict: ConflictDialog };
const WIDE = new Set(["conflict", "keys"]);

export function Dialogs() {
  const { store } = useBuilder();
  const dialog = useSelect((s) => s.dialog ?? (s.conflict && !s.conflict.later ? CONFLICT : null));
  const close = () => {
    const { conflict } = store.get();
    // Closing the question puts it off: nothing is sent until it is answered, and the header goes on saying so.
    store.set({ dialog: null, conflict: conflict ? { ...conflict, later: true } : null });
  };
  if (!dialog) return null;
  const Body = DIALOGS[dialog.kind];
  return (
    <Dialog.Root open onOpenChange={(open) => !open && close()}>
      <Dialog.Content className="ob-dialog" maxWidth={WIDE.has(dialog.kind) ? "760px" : "480px"} aria-describedby={undefined} data-dialog={dialog.kind}>
        <Body dialog={dialog} close={close} />
      </Dialog.Content>
    </Dialog.Root>
  );
}

const CONFLICT = { kind: "conflict" };
