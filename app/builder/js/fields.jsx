// A JSON value for people: a field a line, objects opened, long lists closed, unknowns as what they will be.
import { useText } from "./shared.js";

function Value({ value }) {
  const text = useText();
  if (value === null || value === undefined || value === "") return <span className="os-muted">—</span>;
  if (typeof value === "boolean") return text(value ? "common.yes" : "common.no");
  if (typeof value !== "object") return <span className="os-wrap">{String(value)}</span>;
  if ("$unknown" in value) return <em className="ob-unknown" title={value.$unknown}>{text("builder.known_after")}</em>;
  if ("$secret" in value || "reveal" in value) return <em className="os-muted">{text("builder.secret")}</em>;
  const empty = Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0;
  return empty ? <span className="os-muted">—</span> : <code className="os-mono os-wrap">{JSON.stringify(value)}</code>;
}

const isOpenable = (value) => value && typeof value === "object" && !("$unknown" in value) && Object.keys(value).length > 0;

export function Fields({ value, depth = 0 }) {
  const entries = Object.entries(value ?? {});
  return (
    <dl className="ob-fields" data-depth={depth}>
      {entries.map(([name, item]) => (
        <div key={name} data-nested={Boolean(isOpenable(item) && depth < 4)}>
          <dt className="os-mono">{name}</dt>
          <dd>{isOpenable(item) && depth < 4 ? <Nested value={item} depth={depth} /> : <Value value={item} />}</dd>
        </div>
      ))}
    </dl>
  );
}

function Nested({ value, depth }) {
  const count = Object.keys(value).length;
  const few = count <= 12 && depth < 1;
  const label = Array.isArray(value) ? `[${count}]` : `{${count}}`;
  return <details open={few}><summary className="os-mono os-muted">{label}</summary><Fields value={value} depth={depth + 1} /></details>;
}

Fields.Value = Value;
