// What an expression in a step may speak of: the inputs, the outputs of the steps before it, the client and the run.
import { upstream } from "./document.js";
import { orderedInputs } from "./inputs.js";
import { titleOf } from "./node.jsx";

const DEPTH = 4;

// The fields of a JSON schema as paths, objects opened up to a few levels.
export function fieldsOf(schema, root, text, prefix = "", depth = 0) {
  const found = [];
  for (const [name, given] of Object.entries(schema?.properties ?? {})) {
    const spec = resolved(given, root ?? schema);
    const path = prefix ? `${prefix}.${name}` : name;
    found.push({ path, type: typeOf(spec), title: spec["x-title"] ? text.pick(spec["x-title"]) : (spec.title ?? name) });
    if (spec.properties && depth < DEPTH) found.push(...fieldsOf(spec, root ?? schema, text, path, depth + 1));
  }
  return found;
}

function resolved(spec, root) {
  if (spec.$ref) return resolved({ ...root.$defs?.[spec.$ref.split("/").at(-1)], ...without(spec, "$ref") }, root);
  const options = (spec.anyOf ?? []).filter((option) => option.type !== "null");
  return options.length === 1 ? resolved({ ...without(spec, "anyOf"), ...options[0] }, root) : spec;
}

const without = (spec, key) => Object.fromEntries(Object.entries(spec).filter(([name]) => name !== key));

const typeOf = (spec) => (spec.enum ? "string" : Array.isArray(spec.type) ? spec.type[0] : spec.type ?? "any");

function outputOf(node, info, text) {
  const asked = info.output_from && node.params?.[info.output_from];
  if (asked) return fieldsOf(asked, asked, text);
  const open = info.open_output;
  if (open) return Object.keys(node.params?.[open] ?? {}).map((name) => ({ path: name, type: "any", title: name }));
  return fieldsOf(info.output, info.output, text);
}

export function referencesFor(doc, id, { types, variables, text }) {
  const before = upstream(doc, id);
  const steps = Object.values(doc.nodes).filter((node) => before.has(node.id) && types[node.type]);
  const groups = [
    { root: "inputs", title: text("builder.inputs"), icon: "file-text", fields: fieldsOf(orderedInputs(doc.inputs), doc.inputs, text) },
    ...steps.map((node) => ({
      node: node.id, root: `steps.${node.id}.output`, icon: types[node.type].icon, title: titleOf(node, types[node.type], text),
      fields: outputOf(node, types[node.type], text),
    })),
    { root: "client", title: text("builder.client_values"), icon: "building", fields: variables.map((name) => ({ path: name, type: "any", title: name })) },
  ];
  return groups.filter((group) => group.fields.length);
}
