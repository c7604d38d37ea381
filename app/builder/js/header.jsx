// The builder's header: where one is, whether everything is saved, and what can be done with the whole workflow.
import { useEffect, useRef, useState } from "react";
import { Link, useParams } from "react-router";
import { DropdownMenu } from "@radix-ui/themes";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";
import { hasEnded } from "./runs.js";

function Name() {
  const text = useText();
  const { edits } = useBuilder();
  const name = useSelect((s) => s.doc?.name || s.workflow?.name || "");
  const canWrite = useSelect((s) => s.canWrite);
  const [draft, setDraft] = useState(null);
  const field = useRef(null);
  useEffect(() => { document.title = name ? `${name} · Opsloom` : "Opsloom"; }, [name]);
  const keep = () => {
    if (draft?.trim() && draft.trim() !== name) edits.edit("rename", [[["name"], draft.trim()]]);
    setDraft(null);
  };
  if (draft === null) {
    return (
      <h1 className="os-truncate">
        {canWrite ? <button type="button" className="ob-name" onClick={() => setDraft(name)} title={text("builder.rename")}>{name}</button> : name}
      </h1>
    );
  }
  const onKeyDown = (event) => {
    if (event.key === "Enter") keep();
    if (event.key === "Escape") setDraft(null);
  };
  return (
    <input ref={field} autoFocus className="os-input ob-name-field" value={draft} maxLength={200} aria-label={text("builder.rename")}
      onChange={(event) => setDraft(event.target.value)} onBlur={keep} onKeyDown={onKeyDown} onFocus={(event) => event.target.select()} />
  );
}

// Saved, being saved, waiting for the connection, or waiting for a decision: in words, an icon and a colour.
function Saved() {
  const text = useText();
  const { store } = useBuilder();
  const standing = useSelect((s) => {
    if (s.phase !== "ready") return "loading";
    if (!s.canWrite) return "read_only";
    if (s.conflict) return "conflict";
    if (s.late) return "late";
    return s.pending.length ? "saving" : "saved";
  });
  const count = useSelect((s) => s.pending.length);
  const revision = useSelect((s) => s.revision);
  const icons = { saved: "check", saving: "loader", late: "wifi-off", conflict: "triangle-alert", read_only: "eye", loading: "loader" };
  return (
    <button type="button" className="ob-saved" data-standing={standing} aria-live="polite" data-revision={revision}
      title={text("builder.revision", { revision })} onClick={() => standing === "conflict" && store.set({ dialog: { kind: "conflict" } })}>
      <Icon name={icons[standing]} size={13} data-moving={standing === "saving" || standing === "loading"} />
      <span>{text(`builder.standing.${standing}`, { count })}</span>
    </button>
  );
}

function Version() {
  const text = useText();
  const { store, send } = useBuilder();
  const workflow = useSelect((s) => s.workflow);
  const revision = useSelect((s) => s.revision);
  if (!workflow) return null;
  const { latest_version: latest, published_version: published, version_revision: saved } = workflow;
  const changed = !latest || saved !== revision;
  const open = () => {
    store.set({ panel: "versions", openNode: null });
    send("onVersions");
  };
  const state = published && published === latest && !changed ? "published" : "draft";
  return (
    <button type="button" className="ob-version" onClick={open} title={text("builder.history")} data-state={state}>
      <i className="ob-dot" />
      <span>
        {latest ? text(changed ? "builder.version_changed" : "builder.version", { version: latest }) : text("builder.no_version")}
        {published && published !== latest ? ` · ${text("builder.live_version", { version: published })}` : ""}
      </span>
    </button>
  );
}

function RunButtons() {
  const text = useText();
  const { store } = useBuilder();
  const granted = useSelect((s) => s.permissions);
  const empty = useSelect((s) => !s.doc || Object.keys(s.doc.nodes).length === 0);
  const starting = useSelect((s) => s.starting);
  const running = useSelect((s) => Boolean(s.run) && !hasEnded(s.run) && s.run.state !== "waiting");
  const open = (mode) => store.set({ dialog: { kind: "start", mode } });
  const busy = Boolean(starting) || running;
  return (
    <>
      {granted.has("run.plan") ? (
        <button type="button" className="os-button" data-kind="plain" disabled={empty || busy} onClick={() => open("plan")} data-action="plan">
          <Icon name={starting === "plan" ? "loader" : "list-checks"} size={15} data-moving={starting === "plan"} /><span>{text("builder.plan")}</span>
        </button>
      ) : null}
      {granted.has("run.start") ? (
        <button type="button" className="os-button" data-kind="primary" disabled={empty || busy} onClick={() => open("apply")} data-action="run" title={`${text("builder.run")} (Ctrl+Enter)`}>
          <Icon name={starting === "apply" ? "loader" : "play"} size={15} data-moving={starting === "apply"} /><span>{text("builder.run")}</span>
        </button>
      ) : null}
    </>
  );
}

function More({ files }) {
  const text = useText();
  const { store, edits, send } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const canPublish = useSelect((s) => s.permissions.has("workflow.publish"));
  const canUndo = useSelect((s) => s.undo.length > 0);
  const canRedo = useSelect((s) => s.redo.length > 0);
  const item = (icon, key, onSelect, shortcut, disabled) => (
    <DropdownMenu.Item onSelect={onSelect} shortcut={shortcut} disabled={disabled}><Icon name={icon} size={14} />{text(key)}</DropdownMenu.Item>
  );
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger>
        <button type="button" className="os-icon-button" aria-label={text("builder.more")}><Icon name="ellipsis" size={16} /></button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Content size="1">
        {item("sliders", "builder.settings", () => store.set({ panel: "workflow", openNode: null }))}
        {item("history", "builder.history", () => { store.set({ panel: "versions", openNode: null }); send("onVersions"); })}
        {canWrite ? item("save", "builder.save_version", () => store.set({ dialog: { kind: "version" } }), "Ctrl S") : null}
        {canPublish ? item("badge-check", "builder.publish", () => store.set({ dialog: { kind: "publish" } })) : null}
        <DropdownMenu.Separator />
        {canWrite ? item("undo", "builder.undo", edits.undo, "Ctrl Z", !canUndo) : null}
        {canWrite ? item("rotate-ccw", "builder.redo", edits.redo, "Ctrl ⇧ Z", !canRedo) : null}
        {canWrite ? item("upload", "builder.import", files.pick) : null}
        {item("download", "builder.export", files.save)}
        <DropdownMenu.Separator />
        {item("keyboard", "builder.keys", () => store.set({ dialog: { kind: "keys" } }), "?")}
      </DropdownMenu.Content>
    </DropdownMenu.Root>
  );
}

function UndoRedo() {
  const text = useText();
  const { edits } = useBuilder();
  const canUndo = useSelect((s) => s.undo.length > 0);
  const canRedo = useSelect((s) => s.redo.length > 0);
  return (
    <span className="ob-undo ob-wide">
      <button type="button" className="os-icon-button" disabled={!canUndo} onClick={edits.undo} title={`${text("builder.undo")} (Ctrl+Z)`} aria-label={text("builder.undo")}><Icon name="undo" size={15} /></button>
      <button type="button" className="os-icon-button ob-redo" disabled={!canRedo} onClick={edits.redo} title={`${text("builder.redo")} (Ctrl+Shift+Z)`} aria-label={text("builder.redo")}><Icon name="undo" size={15} /></button>
    </span>
  );
}

export function BuilderHeader({ files }) {
  const text = useText();
  const { client } = useParams();
  const { store } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const canPublish = useSelect((s) => s.permissions.has("workflow.publish"));
  const dialog = (kind) => () => store.set({ dialog: { kind } });
  return (
    <header className="os-header ob-header">
      <div className="os-crumbs">
        <span className="os-crumb ob-wide"><Link to={`/c/${client}/workflows`}>{text("nav.workflows")}</Link><Icon name="chevron-right" size={13} /></span>
        <Name />
        <Saved />
        <Version />
      </div>
      <div className="os-actions">
        {canWrite ? <UndoRedo /> : null}
        {canWrite ? <button type="button" className="os-button ob-wide" onClick={dialog("version")} title={`${text("builder.save_version")} (Ctrl+S)`} data-action="save"><Icon name="save" size={15} /><span>{text("builder.save_version")}</span></button> : null}
        {canPublish ? <button type="button" className="os-button ob-wide" onClick={dialog("publish")} data-action="publish"><Icon name="badge-check" size={15} /><span>{text("builder.publish")}</span></button> : null}
        <RunButtons />
        <More files={files} />
      </div>
    </header>
  );
}
