// How a value is shown in a list, by the kind of its column, and as words for sorting, searching and export.
import { Link } from "react-router";
import { StateBadge, Tag } from "./badges.jsx";
import { linesOf, Value } from "./change.jsx";
import { Icon } from "./icons.jsx";
import { ChangeCounts, COLOURS, countsInWords, SIGNS } from "./plan_counts.jsx";
import { Mark } from "./switcher.jsx";
import { Ago, Lasting } from "./time.jsx";

const CELLS = {
  text: (value) => <span className="os-truncate">{value}</span>,
  titled: (value, row, column) => (
    <span className="os-truncate" title={row[`${column.id}_title`]}>
      {value}
    </span>
  ),
  mono: (value) => (
    <span className="os-mono os-truncate" title={value}>
      {value}
    </span>
  ),
  number: (value, row, column, text) => <span className="os-figures">{value == null ? "" : text.number(value)}</span>,
  state: (value) => <StateBadge state={value} plain />,
  linked_state: (value) =>
    value ? (
      <Link className="os-plain-link" to={value.href}>
        <StateBadge state={value.state} plain />
      </Link>
    ) : null,
  time: (value) => <Ago at={value} />,
  lasting: (value, row) => <Lasting start={row.started_at} end={row.finished_at} />,
  code: (value, row, column, text) => (value ? <span className="os-truncate">{text(`${column.prefix}${value}`)}</span> : null),
  pick: (value, row, column, text) => <span className="os-truncate">{text.pick(value)}</span>,
  say: (value, row, column, text) => <span className="os-truncate">{value ? text.say(value) : ""}</span>,
  reason: (value, row, column, text) => <span className="os-truncate">{value ? text.reason(value) : ""}</span>,
  action: (value, row, column, text) => (
    <span className="os-truncate" title={value}>
      {actionWords(value, text)}
      {column.sub ? <small className="os-narrow-only os-muted os-truncate">{row[column.sub]}</small> : null}
    </span>
  ),
  target: (value, row, column, text) => <Target value={value ?? ""} href={row.href} text={text} />,
  button: (value, row, column, text) =>
    value ? (
      <Link className="os-button" data-size="small" to={value.href} aria-label={text(value.key)}>
        {value.icon ? <Icon name={value.icon} size={12} /> : null}
        <span className="os-wide-only">{text(value.key)}</span>
      </Link>
    ) : null,
  diff: (value, row, column, text) => <Diff change={value} text={text} />,
  changes: (value) => <ChangeCounts counts={value} />,
  client: (value, row) => (
    <span className="os-cell-line">
      <Mark name={row.name ?? value} colour={row.colour} size={20} />
      <MainLink value={value} row={row} />
    </span>
  ),
  tags: (value) => (
    <span className="os-cell-line">
      {(value ?? []).map((tag) => (
        <span key={tag} className="os-chip-mini">
          {tag}
        </span>
      ))}
    </span>
  ),
  main: (value, row, column, text) => (
    <span className="os-cell-main">
      {row.icon ? <Icon name={row.icon} size={14} /> : null}
      <MainLink value={value} row={row} />
      {row.badge ? <Tag colour={row.badge.colour}>{text(row.badge.key)}</Tag> : null}
      {column.sub && row[column.sub] ? <span className="os-muted os-truncate">{row[column.sub]}</span> : null}
    </span>
  ),
};

// What the audit trail calls an action, in words where there are some.
const actionWords = (action, text) => (text.has(`audit.did.${action}`) ? text(`audit.did.${action}`) : action);

// The end of an id tells two apart; their beginning is a time, and the same for many.
const ID = /^[0-9a-f]{8}-[0-9a-f-]{23}([0-9a-f]{4})$/;

// What an event is about: its kind in words, and as much of its id as tells it from others.
function Target({ value, href, text }) {
  const [kind, name] = [value.slice(0, value.indexOf(":")), value.slice(value.indexOf(":") + 1)];
  const key = `audit.one_${kind}`;
  const words = (
    <>
      {text.has(key) ? `${text(key)} ` : kind ? `${kind}:` : ""}
      {ID.test(name) ? `…${name.slice(-4)}` : name}
    </>
  );
  return href ? (
    <Link className="os-link os-truncate" to={href} title={value}>
      {words}
    </Link>
  ) : (
    <span className="os-truncate" title={value}>
      {words}
    </span>
  );
}

const MOST_LINES = 2;
const changedLines = (change) => linesOf(change, change.words).filter((line) => line.kind !== "none");
const named = (change, line, text) => (change.words?.[line.path] ? text.pick(change.words[line.path]) : line.path);

// A change in one line of a list: its sign, and the first fields with what they were and are.
function Diff({ change, text }) {
  const lines = changedLines(change);
  return (
    <span className="os-cell-line">
      <b className="os-sign" data-colour={COLOURS[change.kind]}>
        {SIGNS[change.kind]}
      </b>
      <span className="os-truncate" title={diffWords(change, text)}>
        {change.archived ? text("history.archived") : null}
        {lines.slice(0, MOST_LINES).map((line, index) => (
          <span key={line.path}>
            {index ? ", " : ""}
            <span className="os-muted">{named(change, line, text)}</span> {line.kind === "update" ? <><Value value={line.before} /> → </> : null}
            <Value value={line.kind === "delete" ? line.before : line.after} />
          </span>
        ))}
        {lines.length > MOST_LINES ? <span className="os-muted"> {text("history.more", { count: lines.length - MOST_LINES })}</span> : null}
      </span>
    </span>
  );
}

const plain = (value) => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));
const diffWords = (change, text) =>
  change.archived ? text("history.archived") : changedLines(change).map((line) => `${named(change, line, text)}: ${[line.before, line.after].filter((one) => one !== undefined).map(plain).join(" → ")}`).join("; ");

function MainLink({ value, row }) {
  if (!row.href) return <span className="os-strong os-truncate">{value}</span>;
  return (
    <Link className="os-strong os-truncate" to={row.href}>
      {value}
    </Link>
  );
}

/** The cell of `column` for `row`. */
export function cellOf(column, row, text) {
  const show = CELLS[column.kind] ?? CELLS.text;
  return show(row[column.id], row, column, text);
}

const WORDS = {
  state: (value, row, column, text) => (value ? text(`state.${value}`) : ""),
  linked_state: (value, row, column, text) => (value ? text(`state.${value.state}`) : ""),
  code: (value, row, column, text) => (value ? text(`${column.prefix}${value}`) : ""),
  pick: (value, row, column, text) => text.pick(value),
  say: (value, row, column, text) => (value ? text.say(value) : ""),
  changes: (value, row, column, text) => countsInWords(value, text),
  reason: (value, row, column, text) => (value ? text.reason(value) : ""),
  action: (value, row, column, text) => actionWords(value, text),
  button: () => "",
  diff: (value, row, column, text) => diffWords(value, text),
  tags: (value) => (value ?? []).join(", "),
};

/** The same as words. */
export function wordsOf(column, row, text) {
  const value = row[column.id];
  const words = WORDS[column.kind];
  if (words) return words(value, row, column, text);
  return value === null || value === undefined ? "" : String(value);
}
