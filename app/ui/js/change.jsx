// One change, field by field: what was before and what is after, as in a diff.
import { Link, useParams } from "react-router";
import { useText } from "./i18n.js";

const isPlain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const isUnknown = (value) => isPlain(value) && "$unknown" in value;
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// Nested objects are opened up, so that each line is one value.
function flat(value, prefix = "") {
  if (!isPlain(value)) return [];
  return Object.entries(value).flatMap(([name, one]) => {
    const path = prefix ? `${prefix}.${name}` : name;
    return isPlain(one) && !isUnknown(one) && Object.keys(one).length ? flat(one, path) : [[path, one]];
  });
}

/** The lines of a change: `{path, kind, before, after}`, the changed ones first. */
export function linesOf(change, fields = {}) {
  const before = new Map(flat(change.before ?? {}));
  const after = new Map(flat(change.after ?? {}));
  const paths = [...new Set([...before.keys(), ...after.keys()])];
  const lines = paths.map((path) => ({ path, before: before.get(path), after: after.get(path), kind: kindOf(path, before, after, change) }));
  const names = Object.keys(fields);
  const rank = (path) => names.indexOf(path) + 1 || names.length + 1;
  return lines.sort((one, other) => (one.kind === "none") - (other.kind === "none") || rank(one.path) - rank(other.path));
}

function kindOf(path, before, after, change) {
  if (isUnknown(after.get(path))) return "unknown";
  if (!before.has(path)) return "create";
  if (!after.has(path)) return change.kind === "delete" ? "delete" : "none";
  return same(before.get(path), after.get(path)) ? "none" : "update";
}

/** A value in the reader's words; what is not known yet says so. */
export function Value({ value }) {
  const text = useText();
  if (value === undefined || value === null || value === "") return <span className="os-muted">{text("common.empty_value")}</span>;
  if (isUnknown(value)) {
    return (
      <span className="os-unknown" title={value.$unknown}>
        {text("plan.known_after")}
      </span>
    );
  }
  if (value === true || value === false) return text(value ? "common.yes" : "common.no");
  if (Array.isArray(value)) return value.length ? value.map((one) => (isPlain(one) ? JSON.stringify(one) : String(one))).join(", ") : text("common.none");
  return isPlain(value) ? <span className="os-mono">{JSON.stringify(value)}</span> : String(value);
}

const SIGNS = { create: "+", update: "~", delete: "−", unknown: "?", none: " " };
const COLOURS = { create: "green", update: "amber", delete: "red", unknown: "orange", none: "grey" };

function Line({ line, words }) {
  const text = useText();
  return (
    <tr data-colour={COLOURS[line.kind]} data-kind={line.kind}>
      <td className="os-diff-sign">{SIGNS[line.kind]}</td>
      <th scope="row" className={words ? undefined : "os-mono"} title={line.path}>
        {words ? text.pick(words) : line.path}
      </th>
      <td className="os-diff-value os-wrap">
        {line.kind === "update" || line.kind === "delete" ? (
          <del>
            <Value value={line.before} />
          </del>
        ) : null}
        {line.kind === "update" ? <span className="os-diff-arrow"> → </span> : null}
        {line.kind === "delete" ? null : (
          <span>
            <Value value={line.after ?? line.before} />
          </span>
        )}
      </td>
    </tr>
  );
}

// What is changed, and the way to all that was ever done to it.
function Target({ target }) {
  const text = useText();
  const { client } = useParams();
  return (
    <p className="os-tiny os-muted os-wrap">
      <span className="os-mono">{target}</span>{" "}
      {client && target ? (
        <Link className="os-link" data-history to={`/c/${client}/history?target=${encodeURIComponent(target)}`}>
          {text("history.all")}
        </Link>
      ) : null}
    </p>
  );
}

/** The fields of a change; `fields` has their words, in the order in which they are to be read. */
export function ChangeFields({ change, fields = {} }) {
  const text = useText();
  const lines = linesOf(change, fields);
  return (
    <div className="os-change">
      <Target target={change.target} />
      {lines.length ? (
        <table className="os-diff">
          <tbody>
            {lines.map((line) => (
              <Line key={line.path} line={line} words={fields[line.path]} />
            ))}
          </tbody>
        </table>
      ) : null}
      {change.note ? <p className="os-small os-muted">{text.pick(change.note)}</p> : null}
      {change.kind !== "none" && change.reversible === false ? (
        <p className="os-small os-irreversible-reason">
          {text("plan.irreversible")} {change.irreversible_reason ? text.pick(change.irreversible_reason) : null}
        </p>
      ) : null}
    </div>
  );
}
