// A table of runs: the file is read here, its rows are checked by the server, and what is wrong is shown row by row.
import { useRef, useState } from "react";
import { StateBadge } from "./badges.jsx";
import { download, toCsv } from "./csv.js";
import { fieldsOf } from "./form_schema.js";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { Priority } from "./priority.jsx";

// What one message over the websocket may carry; a larger table goes in over the command line or the API.
const LARGEST = 700_000;

async function readText(file) {
  const bytes = await file.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

function Drop({ onFile }) {
  const text = useText();
  const input = useRef(null);
  const [over, setOver] = useState(false);
  return (
    <div
      className="os-drop"
      data-over={over}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (event.dataTransfer.files[0]) onFile(event.dataTransfer.files[0]);
      }}
    >
      <Icon name="file-up" size={22} />
      <p className="os-small">{text("start.drop")}</p>
      <button type="button" className="os-button" onClick={() => input.current?.click()}>
        {text("start.choose_file")}
      </button>
      <input
        ref={input}
        type="file"
        accept=".csv,text/csv,text/plain"
        className="os-hidden"
        aria-label={text("start.choose_file")}
        onChange={(event) => {
          if (event.target.files[0]) onFile(event.target.files[0]);
          event.target.value = "";
        }}
      />
    </div>
  );
}

function Row({ row }) {
  const text = useText();
  return (
    <tr data-wrong={row.problems.length > 0}>
      <td className="os-figures os-muted">{row.number}</td>
      <td className="os-wrap">{row.label}</td>
      <td>
        {row.problems.length ? (
          row.problems.map((problem, index) => (
            <span key={index} className="os-error">
              <Icon name="circle-alert" size={12} />
              <span>
                {problem.field ? <b className="os-mono">{problem.field}: </b> : null}
                {text.say(problem)}
              </span>
            </span>
          ))
        ) : (
          <StateBadge state="right" plain />
        )}
      </td>
    </tr>
  );
}

const wrongFirst = (rows) => [...rows].sort((one, other) => Boolean(other.problems.length) - Boolean(one.problems.length));

function Rows({ rows }) {
  const text = useText();
  return (
    <div className="os-checked">
      <table className="os-table">
        <thead>
          <tr>
            <th>{text("start.row")}</th>
            <th>{text("start.who")}</th>
            <th>{text("start.check")}</th>
          </tr>
        </thead>
        <tbody>
          {wrongFirst(rows).map((row) => (
            <Row key={row.number} row={row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The tab. `onCheck({workflow, version, table})` asks for the rows; `onStart({workflow, version, table, mode, priority, skip_invalid})`. */
export function TableStart({ workflow, checked, problem, busy, may, onCheck, onStart }) {
  const text = useText();
  const [table, setTable] = useState(null);
  const [tooLarge, setTooLarge] = useState(false);
  const [priority, setPriority] = useState("normal");
  const columns = fieldsOf(workflow.inputs ?? {}).map((field) => field.name);
  const rows = table && checked?.name === table.name ? (checked.rows ?? []) : [];
  const wrong = rows.filter((row) => row.problems.length > 0).length;
  const good = rows.length - wrong;
  const take = async (file) => {
    setTooLarge(file.size > LARGEST);
    if (file.size > LARGEST) return;
    const found = { name: `${file.name} ${file.lastModified}`, words: await readText(file) };
    setTable(found);
    onCheck({ workflow: workflow.id, version: workflow.version, name: found.name, table: found.words });
  };
  const start = (mode) =>
    onStart({ workflow: workflow.id, version: workflow.version, table: table.words, mode, priority, skip_invalid: wrong > 0 });
  const lines = problem?.errors?.length && !rows.length ? problem.errors.slice(0, 5) : problem && !rows.length ? [problem] : [];
  return (
    <div className="os-stack">
      <p className="os-small os-muted">
        {text("start.columns")} <span className="os-mono">{columns.join(", ")}</span>{" "}
        <button type="button" className="os-link" onClick={() => download(`${workflow.name}.csv`, toCsv([columns]), "text/csv")}>
          {text("start.example")}
        </button>
      </p>
      <Drop onFile={take} />
      {tooLarge ? <p className="os-error">{text("start.too_large")}</p> : null}
      {lines.map((line, index) => (
        <p key={index} className="os-error" role="alert">
          {text.say(line)}
        </p>
      ))}
      {rows.length ? (
        <>
          <p className="os-small" role="status">
            <b>{text("start.right", { count: good })}</b>
            {wrong ? <>, {text("start.wrong", { count: wrong })}</> : null}
          </p>
          <Rows rows={rows} />
          <div className="os-form-foot">
            <Priority value={priority} onChange={setPriority} may={may} />
            {may.start ? (
              <button type="button" className="os-button" disabled={busy || good === 0} onClick={() => start("apply")}>
                {text("start.run_rows", { count: good })}
              </button>
            ) : null}
            <button type="button" className="os-button" data-kind="primary" disabled={busy || good === 0} onClick={() => start("plan")}>
              {text("start.plan_rows", { count: good })}
            </button>
          </div>
        </>
      ) : null}
    </div>
  );
}
