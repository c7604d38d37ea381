// What differs between two documents, as a list: a sign, the place in words, before and after.
import { useText } from "./shared.js";
import { useSelect } from "./store.js";
import { titleOf } from "./node.jsx";

export function Value({ value }) {
  const text = useText();
  if (value === undefined || value === null) return <em className="os-muted">{text("builder.nothing_there")}</em>;
  if (value?.type && value?.id) return <span>{value.name || value.id} <small className="os-mono">{value.type}</small></span>;
  if (typeof value === "string") return <span className="os-wrap">{value}</span>;
  return <code className="os-mono os-wrap">{JSON.stringify(value)}</code>;
}

const fieldTitle = (info, field, text) => {
  const words = info?.params?.properties?.[field]?.["x-title"];
  return words ? text.pick(words) : field;
};

// A path in the reader's words: "Create the account › Display name".
export function placeOf(path, { doc, other, types, text }) {
  const [kind, key, part, field] = path;
  if (kind === "nodes") {
    const node = doc?.nodes[key] ?? other?.nodes[key] ?? { name: key, type: "" };
    const info = types[node.type];
    const name = titleOf(node, info, text) || key;
    if (!part) return name;
    if (part === "params" && field) return `${name} › ${fieldTitle(info, field, text)}`;
    return `${name} › ${text.has(`builder.field.${part}`) ? text(`builder.field.${part}`) : part}`;
  }
  if (kind === "edges") {
    const named = (id) => {
      const node = doc?.nodes[id] ?? other?.nodes[id];
      return node ? titleOf(node, types[node.type], text) : id;
    };
    const [source, port, target] = key.split("|");
    return `${named(source)} → ${named(target)}${port === "next" ? "" : ` (${text.has(`builder.port.${port}`) ? text(`builder.port.${port}`) : port})`}`;
  }
  if (kind === "inputs") return [text("builder.inputs"), field ? undefined : part, field].filter(Boolean).join(" › ");
  return text(`builder.field.${kind}`);
}

const signOf = (was, is) => (was === null ? ["+", "create"] : is === null ? ["−", "delete"] : ["~", "update"]);

export function Difference({ changes, before, after }) {
  const text = useText();
  const types = useSelect((s) => s.types);
  const real = changes.filter(([path]) => path[2] !== "position");
  const moved = changes.length - real.length;
  if (!changes.length) return <p className="ob-none">{text("builder.same")}</p>;
  return (
    <ul className="ob-differences">
      {real.map(([path, was, is]) => {
        const [sign, kind] = signOf(was, is);
        const whole = path.length === 2;
        return (
          <li key={path.join("|")} data-kind={kind}>
            <b className="ob-change" data-kind={kind}>{sign}</b>
            <div>
              <span>{placeOf(path, { doc: after, other: before, types, text })}</span>
              {whole ? null : <div className="ob-was-is"><Value value={was} /><span aria-hidden="true">→</span><Value value={is} /></div>}
            </div>
          </li>
        );
      })}
      {moved ? <li data-kind="none"><b className="ob-change" data-kind="none">=</b><div>{text("builder.moved", { count: moved })}</div></li> : null}
    </ul>
  );
}
