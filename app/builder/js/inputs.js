// The workflow's inputs: a JSON schema whose fields carry their order, as the database keeps none.
const place = ([, spec], index) => spec["x-order"] ?? 1000 + index;

export function orderedInputs(schema) {
  const entries = Object.entries(schema?.properties ?? {});
  const ranked = entries.map((entry, index) => [place(entry, index), entry]).sort((a, b) => a[0] - b[0]);
  return { type: "object", ...schema, properties: Object.fromEntries(ranked.map(([, entry]) => entry)) };
}

// What a person chooses from, as JSON schema.
export const KINDS = {
  text: { type: "string" },
  long: { type: "string", "x-widget": "textarea" },
  email: { type: "string", format: "email" },
  number: { type: "number" },
  integer: { type: "integer" },
  boolean: { type: "boolean" },
  date: { type: "string", format: "date" },
  choice: { type: "string", enum: [] },
  list: { type: "array", items: { type: "string" } },
};

export function kindOf(spec) {
  if (spec.enum) return "choice";
  if (spec["x-widget"] === "textarea") return "long";
  if (spec.type === "string") return { email: "email", date: "date" }[spec.format] ?? "text";
  return { number: "number", integer: "integer", boolean: "boolean", array: "list" }[spec.type] ?? "text";
}

const KEPT = ["title", "description", "x-order"];

export function withKind(spec, kind) {
  const kept = Object.fromEntries(KEPT.filter((key) => spec[key] !== undefined).map((key) => [key, spec[key]]));
  return { ...structuredClone(KINDS[kind]), ...kept };
}

// A name that expressions can use, from what was typed: "First name" -> first_name
export function inputName(words) {
  const plain = words.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "_").replace(/^[^a-z]+|_+$/g, "");
}

// The pairs that rename an input, wherever it is spoken of.
export function renameInput(doc, from, to) {
  const spec = doc.inputs.properties[from];
  const pairs = [[["inputs", "properties", from], null], [["inputs", "properties", to], spec]];
  const required = doc.inputs.required ?? [];
  if (required.includes(from)) pairs.push([["inputs", "required"], required.map((name) => (name === from ? to : name))]);
  for (const node of Object.values(doc.nodes)) {
    for (const [name, value] of Object.entries(node.params ?? {})) {
      const next = spoken(value, from, to);
      if (next !== value) pairs.push([["nodes", node.id, "params", name], next]);
    }
  }
  return pairs;
}

function spoken(value, from, to) {
  if (typeof value === "string") return value.replace(new RegExp(`\\binputs\\.${from}\\b`, "g"), `inputs.${to}`);
  if (Array.isArray(value)) {
    const items = value.map((item) => spoken(item, from, to));
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, item]) => [key, spoken(item, from, to)]);
  return entries.some(([key, item]) => item !== value[key]) ? Object.fromEntries(entries) : value;
}
