// A JSON schema read as a list of fields.

const without = (spec, key) => Object.fromEntries(Object.entries(spec).filter(([name]) => name !== key));

/** `spec` with its references and its "or nothing" followed. */
export function resolved(spec, root) {
  if (spec.$ref) return resolved({ ...root.$defs?.[spec.$ref.split("/").at(-1)], ...without(spec, "$ref") }, root);
  if (spec.allOf?.length === 1) return resolved({ ...without(spec, "allOf"), ...spec.allOf[0] }, root);
  const options = (spec.anyOf ?? spec.oneOf ?? []).filter((option) => option.type !== "null");
  if (options.length !== 1) return spec;
  return { ...resolved({ ...without(without(spec, "anyOf"), "oneOf"), ...options[0] }, root), optional: true };
}

const typeOf = (spec) => (Array.isArray(spec.type) ? spec.type.find((one) => one !== "null") : spec.type);

// The widget of a field: what the schema asks for, or what its type suggests.
function widgetOf(spec) {
  if (spec["x-choices"]) return spec["x-choices"].many ? "live_many" : "live";
  if (spec.format === "password" || spec.writeOnly) return "secret";
  if (spec["x-widget"] === "multiselect" && spec.items?.enum) return "multiselect";
  if (spec["x-widget"] && spec["x-widget"] !== "multiselect") return spec["x-widget"];
  if (spec.enum) return "select";
  const type = typeOf(spec);
  if (type === "boolean") return "switch";
  if (type === "integer" || type === "number") return "number";
  if (type === "array") return spec.items?.enum ? "multiselect" : spec.items?.type === "object" ? "json" : "list";
  if (type === "object") return "key_values";
  if (spec.format === "date") return "date";
  if (spec.format === "email") return "email";
  return (spec.maxLength ?? 0) > 1000 ? "textarea" : "text";
}

/**
 * The fields of `schema` in the order they are to be shown: by `x-order`, else the required ones as they are listed (the
 * database does not keep the order of an object's names), else as they come.
 */
export function fieldsOf(schema) {
  const required = new Set(schema?.required ?? []);
  const listed = [...required];
  const fields = Object.entries(schema?.properties ?? {}).map(([name, given], index) => {
    const spec = resolved(given, schema);
    return {
      name,
      spec,
      type: typeOf(spec),
      widget: widgetOf(spec),
      required: required.has(name),
      columns: spec["x-widget"] === "rows" ? fieldsOf({ ...resolved(spec.items ?? {}, schema), $defs: schema.$defs }) : [],
      when: spec["x-when"] ?? null,
      options: spec.enum ?? spec.items?.enum ?? [],
      order: spec["x-order"] ?? (required.has(name) ? listed.indexOf(name) : listed.length + index),
    };
  });
  return fields.sort((one, other) => one.order - other.order);
}

/** Whether a field counts beside the other values: some are asked for only where another one has a certain value. */
export function counts(field, values, schema) {
  if (!field.when) return true;
  const [other, value] = field.when;
  return (values[other] ?? schema.properties?.[other]?.default) === value;
}

/** The words of a field: label and help in the reader's language. */
export function wordsOf(field, text) {
  const { spec, name } = field;
  return {
    label: spec["x-title"] ? text.pick(spec["x-title"]) : (spec.title ?? name),
    help: spec["x-help"] ? text.pick(spec["x-help"]) : (spec.description ?? ""),
    placeholder: spec["x-placeholder"] ?? "",
  };
}

/** The words of one option of a select. */
export function optionWords(field, option, text) {
  const words = field.spec["x-options"]?.[option];
  return words ? text.pick(words) : String(option);
}

export const isExpression = (value) => typeof value === "string" && value.includes("{{");

export const isEmpty = (value) =>
  value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);

/** What was typed, as the schema's type; what does not parse stays as it was typed, so that nothing is lost. */
export function parsed(field, typed) {
  if (typed === "" || typed === undefined) return undefined;
  if (isExpression(typed)) return typed;
  if (field.widget === "number") {
    const number = Number(String(typed).replace(",", "."));
    return Number.isNaN(number) ? typed : number;
  }
  return typed;
}

/** The values without what was left empty. */
export const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => !isEmpty(value)));
