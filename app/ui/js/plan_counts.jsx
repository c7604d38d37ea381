// How many changes of each kind: "4 to add, 1 to change, 0 to remove, 1 known after run".
import { useText } from "./i18n.js";

// The counts as the server names them, and the kind of change that each stands for.
export const COUNTED = [
  ["add", "create"],
  ["change", "update"],
  ["remove", "delete"],
  ["unknown", "unknown"],
];
export const SIGNS = { create: "+", update: "~", delete: "−", unknown: "?", none: "=" };
export const COLOURS = { create: "green", update: "amber", delete: "red", unknown: "orange", none: "grey" };

/** Counts of a list of steps with changes. */
export function countsOf(steps) {
  const counts = { add: 0, change: 0, remove: 0, unknown: 0, irreversible: 0 };
  for (const { change } of steps) {
    const name = COUNTED.find(([, kind]) => kind === change?.kind)?.[0];
    if (name) counts[name] += 1;
    if (name && change.reversible === false) counts.irreversible += 1;
  }
  return counts;
}

const told = (counts) => COUNTED.filter(([name]) => name !== "unknown" || counts?.unknown);

/** The counts as one sentence. */
export function countsInWords(counts, text) {
  if (!counts || Object.keys(counts).length === 0) return "";
  return told(counts)
    .map(([name]) => text(`plan.count_${name}`, { count: counts[name] ?? 0 }))
    .join(", ");
}

/** The counts as signs, for lists; kinds without any are left out. */
export function ChangeCounts({ counts }) {
  const text = useText();
  if (!counts || Object.keys(counts).length === 0) return null;
  const present = COUNTED.filter(([name]) => counts[name]);
  if (present.length === 0) return <span className="os-muted">{text("plan.nothing")}</span>;
  return (
    <span className="os-counts os-figures" title={countsInWords(counts, text)}>
      {present.map(([name, kind]) => (
        <span key={name} data-colour={COLOURS[kind]}>
          {SIGNS[kind]}
          {counts[name]}
        </span>
      ))}
    </span>
  );
}

/** The counts as a sentence, coloured; `done` tells of what was changed rather than of what would be. */
export function CountLine({ counts, done = false }) {
  const text = useText();
  const shown = told(counts);
  const tense = done ? "done" : "count";
  return (
    <p className="os-count-line">
      {shown.map(([name, kind], index) => (
        <span key={name}>
          <b data-colour={counts?.[name] ? COLOURS[kind] : "grey"}>
            {text(`plan.${tense}_${name}`, { count: counts?.[name] ?? 0 })}
          </b>
          {index < shown.length - 1 ? ", " : ""}
        </span>
      ))}
    </p>
  );
}
