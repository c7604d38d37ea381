// What can be done with a run, in the header of its page.
import { useMemo, useState } from "react";
import { useQueryChange } from "./address.js";
import { Confirm } from "./dialog.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { began } from "./run_page.jsx";

const OVER = ["succeeded", "failed", "cancelled"];
/** An undo that is over without having done it may be asked for again; one in these states is not. */
export const UNDONE = ["queued", "running", "waiting", "paused", "succeeded"];

/** A button of the header: on a phone its icon alone. */
export function HeaderButton({ icon, words, kind = "", ...rest }) {
  return (
    <button type="button" className="os-button" data-kind={kind} aria-label={words} {...rest}>
      <Icon name={icon} size={14} />
      <span className="os-wide-only">{words}</span>
    </button>
  );
}

// Of a batch its rows know; of a run, its steps that took effect. What cannot be taken back is nothing to undo.
const somethingToUndo = (run) => (run.kind === "batch" || run.effects.length > 0) && takenBack(run) > 0;
const takenBack = (run) => changed(run) - (run.summary.irreversible ?? 0);
const changed = (run) => (run.summary.add ?? 0) + (run.summary.change ?? 0) + (run.summary.remove ?? 0);

/** The question before an undo. `count` changes are taken back and `stays` cannot be; `children` say more. */
export function UndoQuestion({ title, count, stays = 0, open, onClose, onUndo, children }) {
  const text = useText();
  const planFirst = (
    <button
      type="button"
      className="os-button"
      onClick={() => {
        onClose();
        onUndo("plan");
      }}
    >
      {text("run.undo_plan")}
    </button>
  );
  return (
    <Confirm
      open={open}
      title={title}
      effect={text("run.undo_now", { count })}
      more={planFirst}
      onConfirm={() => onUndo("apply")}
      onClose={onClose}
    >
      <p>{text("run.undo_help")}</p>
      {stays ? <p className="os-irreversible-reason">{text("run.undo_stays", { count: stays })}</p> : null}
      {children}
    </Confirm>
  );
}

/** The buttons. A plan is run as it was sealed; a run is undone, retried, repeated, paused or cancelled. */
export function RunActions({ run, may = {}, busy, again = false, onApply, onUndo, onRetry, onCancel, onPause }) {
  const text = useText();
  const change = useQueryChange();
  const [asking, setAsking] = useState("");
  // A second click is the same start, however slow the first.
  const key = useMemo(() => crypto.randomUUID(), [run?.id]);
  if (!run?.id) return null;
  const over = OVER.includes(run.state);
  const isPlan = run.mode === "plan";
  const undoable = over && !isPlan && run.kind !== "undo" && !run.of && !UNDONE.includes(run.undone_state) && somethingToUndo(run);
  const applicable = isPlan && run.state === "succeeded" && !run.parent;
  return (
    <>
      {applicable && run.of && may.undo ? (
        <HeaderButton icon="undo" words={text("run.undo_as_planned")} kind="danger" disabled={busy} onClick={() => onUndo("apply")} />
      ) : null}
      {applicable && !run.of && may.start ? (
        <HeaderButton icon="play" words={text("run.apply")} kind="primary" disabled={busy} onClick={() => onApply(key)} />
      ) : null}
      {undoable && may.undo ? <HeaderButton icon="undo" words={text("run.undo")} disabled={busy} onClick={() => setAsking("undo")} /> : null}
      {over && run.state !== "succeeded" && !isPlan && run.kind !== "batch" && may.start && began(run) ? (
        <HeaderButton icon="rotate-ccw" words={text("run.retry")} disabled={busy} onClick={() => onRetry([])} />
      ) : null}
      {over && run.kind === "run" && may.plan && again ? (
        <HeaderButton icon="repeat" words={text("run.again")} disabled={busy} onClick={() => change({ start: run.workflow_id, from: run.id })} />
      ) : null}
      {!over && onPause && !run.cancel_requested_at && run.pause_requested_at && may.start ? (
        <HeaderButton icon="play" words={text("run.resume")} disabled={busy} onClick={() => onPause(false)} />
      ) : null}
      {!over && onPause && !run.cancel_requested_at && !run.pause_requested_at && may.cancel ? (
        <HeaderButton icon="pause" words={text("run.pause")} disabled={busy} onClick={() => onPause(true)} />
      ) : null}
      {!over && may.cancel ? (
        <HeaderButton
          icon="octagon-x"
          words={text(run.cancel_requested_at ? "run.cancelling" : "run.cancel")}
          disabled={busy || Boolean(run.cancel_requested_at)}
          onClick={() => setAsking("cancel")}
        />
      ) : null}
      <UndoQuestion
        title={text("run.undo_title")}
        count={takenBack(run)}
        stays={run.summary.irreversible}
        open={asking === "undo"}
        onClose={() => setAsking("")}
        onUndo={onUndo}
      />
      <Confirm
        open={asking === "cancel"}
        title={text("run.cancel_title")}
        effect={text("run.cancel")}
        onConfirm={() => onCancel()}
        onClose={() => setAsking("")}
      >
        <p>{text("run.cancel_help")}</p>
      </Confirm>
    </>
  );
}
