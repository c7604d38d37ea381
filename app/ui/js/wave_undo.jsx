// Taking back what a wave did: the question before it, and what was started where.
import { useState } from "react";
import { Link } from "react-router";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { HeaderButton, UNDONE, UndoQuestion } from "./run_actions.jsx";

const changesOf = ({ summary = {} }) => (summary.add ?? 0) + (summary.change ?? 0) + (summary.remove ?? 0);
const staysOf = ({ summary = {} }) => summary.irreversible ?? 0;
const sum = (rows, count) => rows.reduce((whole, row) => whole + count(row), 0);

/** The button, where a client is left in which something can be taken back. `rows` are the wave's clients. */
export function WaveUndo({ rows = [], busy, onUndo }) {
  const text = useText();
  const [asking, setAsking] = useState(false);
  const left = rows.filter((row) => changesOf(row) > 0 && !UNDONE.includes(row.undo_state));
  if (sum(left, changesOf) <= sum(left, staysOf)) return null;
  const staying = left.filter(staysOf);
  return (
    <>
      <HeaderButton icon="undo" words={text("run.undo")} disabled={busy} onClick={() => setAsking(true)} />
      <UndoQuestion
        title={text("waves.undo_title")}
        count={sum(left, changesOf) - sum(left, staysOf)}
        open={asking}
        onClose={() => setAsking(false)}
        onUndo={onUndo}
      >
        <p>{text("waves.undo_help", { count: left.length })}</p>
        {staying.length > 0 ? (
          <ul className="os-plain-list">
            {staying.map((row) => (
              <li key={row.id}>
                <b>{row.name}</b>: {text("run.undo_stays", { count: staysOf(row) })}
              </li>
            ))}
          </ul>
        ) : null}
      </UndoQuestion>
    </>
  );
}

/** What became of the question: `undone` is `{mode, clients}`, each client with the address of its undo or a reason. */
export function WaveUndone({ undone }) {
  const text = useText();
  const clients = undone?.clients ?? [];
  if (clients.length === 0) return null;
  const started = clients.filter((one) => !one.reason);
  const refused = clients.filter((one) => one.reason);
  return (
    <div className="os-callout" data-colour={refused.length ? "amber" : "grey"} role="status">
      <Icon name="undo" />
      <div>
        <p>{text(undone.mode === "plan" ? "waves.undo_planned" : "waves.undo_started", { count: started.length })}</p>
        <ul className="os-plain">
          {started.map((one) => (
            <li key={one.client}>
              <Link className="os-link" to={one.href}>
                {one.name}
              </Link>
            </li>
          ))}
          {refused.map((one) => (
            <li key={one.client}>
              <b>{one.name}</b>: {text.reason(one.reason)}
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
