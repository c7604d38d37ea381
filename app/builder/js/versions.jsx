// The versions of a workflow: what each says, how it differs from what is drawn, and ways back to it.
import { useMemo } from "react";
import { diff, toKeyed } from "./document.js";
import { Difference } from "./difference.jsx";
import { Panel } from "./panel.jsx";
import { Icon, Skeleton, Tag, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";

function Row({ row, published, onOpen }) {
  const text = useText();
  return (
    <button type="button" className="ob-version-row" onClick={() => onOpen(row.version)} data-version={row.version}>
      <span className="ob-version-top">
        <strong>{text("builder.version", { version: row.version })}</strong>
        {row.version === published ? <Tag colour="green" icon="badge-check">{text("builder.live")}</Tag> : null}
      </span>
      {row.note ? <span className="os-wrap">{row.note}</span> : null}
      <small className="os-muted" title={text.when(row.created_at)}>{[row.author, text.ago(row.created_at)].filter(Boolean).join(" · ")}</small>
    </button>
  );
}

function One({ shown, onBack }) {
  const text = useText();
  const { store, edits } = useBuilder();
  const doc = useSelect((s) => s.doc);
  const canWrite = useSelect((s) => s.canWrite);
  const canPublish = useSelect((s) => s.permissions.has("workflow.publish"));
  const published = useSelect((s) => s.workflow.published_version);
  const theirs = useMemo(() => toKeyed(shown.document), [shown]);
  const changes = useMemo(() => diff(theirs, doc), [theirs, doc]);
  // Restoring is an edit like any other: one undo takes it back.
  const restore = () => edits.edit("restore", diff(doc, theirs).map(([path, , is]) => [path, is]));
  return (
    <div className="ob-version-one">
      <button type="button" className="os-link" onClick={onBack}><Icon name="chevron-left" size={14} /> {text("builder.all_versions")}</button>
      <h3>{text("builder.version", { version: shown.version })}</h3>
      {shown.note ? <p className="os-wrap">{shown.note}</p> : null}
      <p className="os-muted os-small">{[shown.author, text.when(shown.created_at)].filter(Boolean).join(" · ")}</p>
      <div className="ob-row">
        {canWrite ? <button type="button" className="os-button" data-size="small" disabled={!changes.length} onClick={restore}><Icon name="rotate-ccw" size={13} />{text("builder.restore")}</button> : null}
        {canPublish && shown.version !== published ? <button type="button" className="os-button" data-size="small" onClick={() => store.set({ dialog: { kind: "publish", version: shown.version } })}><Icon name="badge-check" size={13} />{text("builder.publish")}</button> : null}
      </div>
      <h4>{text("builder.since_then")}</h4>
      <Difference changes={changes} before={theirs} after={doc} />
    </div>
  );
}

export function VersionsPanel() {
  const text = useText();
  const { store, send } = useBuilder();
  const rows = useSelect((s) => s.versions);
  const shown = useSelect((s) => s.shownVersion);
  const published = useSelect((s) => s.workflow?.published_version);
  const open = (version) => send("onVersion", { version });
  return (
    <Panel title={text("builder.history")} name="versions">
      <div className="ob-panel-body">
        {shown ? <One shown={shown} onBack={() => store.set({ shownVersion: null })} /> : null}
        {!shown && rows === null ? <Skeleton rows={6} /> : null}
        {!shown && rows?.length === 0 ? <p className="ob-none">{text("builder.no_versions")}</p> : null}
        {shown ? null : rows?.map((row) => <Row key={row.version} row={row} published={published} onOpen={open} />)}
      </div>
    </Panel>
  );
}
