// The fields of a form as rows, and back as a JSON schema. Pure.

const SPECS = {
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

/** What a person chooses from. */
export const KINDS = Object.keys(SPECS);

export function kindOf(spec) {
  if (spec.enum) return "choice";
  if (spec["x-widget"] === "textarea") return "long";
  if (spec.type === "string") return { email: "email", date: "date" }[spec.format] ?? "text";
  return { number: "number", integer: "integer", boolean: "boolean", array: "list" }[spec.type] ?? "text";
}

/** A name that expressions can use, from what was typed: "First name" -> first_name */
export function nameOf(words) {
  const plain = words.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "_").replace(/^[^a-z]+|_+$/g, "");
}

/** The row with another kind of value; title and help stay. */
export function withKind(row, kind) {
  const { title, description } = row.spec;
  return { ...row, kind, spec: { ...structuredClone(SPECS[kind]), ...(title && { title }), ...(description && { description }) } };
}

/** The rows of a schema, in its order. */
export function fieldsIn(schema) {
  const required = new Set(schema?.required ?? []);
  const entries = Object.entries(schema?.properties ?? {});
  const place = ([, spec], index) => spec?.["x-order"] ?? 1000 + index;
  const ranked = entries.map((entry, index) => [place(entry, index), entry]).sort((one, other) => one[0] - other[0]);
  return ranked.map(([, [name, spec]]) => ({ name, title: spec.title ?? name, kind: kindOf(spec), required: required.has(name), spec }));
}

/** The schema of `rows`; what `schema` says beside its fields stays. Rows without a name are still being typed. */
export function fromFields(schema, rows) {
  const named = rows.filter((row, index) => row.name && rows.findIndex((one) => one.name === row.name) === index);
  const properties = Object.fromEntries(named.map((row, order) => [row.name, { ...row.spec, title: row.title, "x-order": order }]));
  return { ...schema, type: "object", properties, required: named.filter((row) => row.required).map((row) => row.name) };
}
