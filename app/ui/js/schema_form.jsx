// A JSON schema as a form. Typing stays in the browser; what is committed (on leaving a field, choosing, Enter) goes out.
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { Control } from "./form_fields.jsx";
import { References } from "./form_references.jsx";
import { counts, fieldsOf, filled, isEmpty, isExpression, parsed, wordsOf } from "./form_schema.js";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const NEVER_EXPRESSION = new Set(["expression", "secret", "key_values", "json", "rows", "schema", "read_action"]);
// A text may hold an expression among its words; other widgets change over to a text field for one.
const HOLDS_TEXT = new Set(["text", "textarea", "email"]);

// What is typed, kept apart from what was committed; a value that changes from outside replaces only its own field.
function useDraft(value) {
  const [draft, setDraft] = useState(value);
  const seen = useRef(value);
  useEffect(() => {
    const names = new Set([...Object.keys(value), ...Object.keys(seen.current)]);
    const changed = [...names].filter((name) => !same(value[name], seen.current[name]));
    seen.current = value;
    if (changed.length) setDraft((now) => ({ ...now, ...Object.fromEntries(changed.map((name) => [name, value[name]])) }));
  }, [value]);
  return [draft, setDraft];
}

// What is said below a field. Help keeps its room while a problem stands in its place: a form that moves while somebody
// works in it has them click what they did not mean.
function Words({ id, help, problems }) {
  const text = useText();
  if (!help && !problems.length) return null;
  return (
    <div className="os-field-words">
      {help ? (
        <span id={`${id}-help`} className="os-help" data-hidden={problems.length > 0}>
          {help}
        </span>
      ) : null}
      {problems.length ? (
        <div id={`${id}-problems`} role="alert">
          {problems.map((problem, index) => (
            <span key={index} className="os-error">
              <Icon name="circle-alert" size={12} />
              <span>{text.say(problem)}</span>
            </span>
          ))}
        </div>
      ) : null}
    </div>
  );
}

function insertAt(input, current, words) {
  const text = String(current ?? "");
  const start = input?.selectionStart ?? text.length;
  return text.slice(0, start) + words + text.slice(input?.selectionEnd ?? start);
}

function Field({ field, value, problems, choices, form }) {
  const text = useText();
  const id = useId();
  const control = useRef(null);
  const { label, help, placeholder } = wordsOf(field, text);
  const [asked, setAsked] = useState(false);
  const mayExpress = form.expressions && !NEVER_EXPRESSION.has(field.widget) && !form.readOnly;
  const expressing = mayExpress && !HOLDS_TEXT.has(field.widget) && (asked || isExpression(value));
  const shownAs = expressing ? { ...field, widget: "text" } : field;
  const insert = (path) => {
    const words = field.widget === "expression" ? path : `{{ ${path} }}`;
    const next = insertAt(control.current, isExpression(value) || HOLDS_TEXT.has(field.widget) || field.widget === "expression" ? value : "", words);
    setAsked(true);
    form.change(field, next);
    form.commit(field, next);
  };
  const refers = (mayExpress || field.widget === "expression") && !form.readOnly && form.references.length > 0;
  const inline = field.widget === "switch" && !expressing;
  return (
    <div className="os-field" data-field={field.name} data-inline={inline}>
      <div className="os-label-line">
        <label className="os-label" htmlFor={id}>
          {label}
          {field.required ? (
            <span className="os-label-required" title={text("form.required")} aria-label={text("form.required")}>
              *
            </span>
          ) : null}
        </label>
        {mayExpress && !HOLDS_TEXT.has(field.widget) ? (
          <button
            type="button"
            className="os-icon-button"
            data-on={expressing}
            aria-pressed={expressing}
            title={text(expressing ? "form.fixed" : "form.expression")}
            aria-label={text(expressing ? "form.fixed" : "form.expression")}
            onClick={() => {
              setAsked(!expressing);
              if (isExpression(value)) form.clear(field);
            }}
          >
            <Icon name="braces" size={13} />
          </button>
        ) : null}
        {refers ? <References references={form.references} onPick={insert} /> : null}
      </div>
      <Control
        {...{ id, field: shownAs, value, placeholder, choices, control }}
        invalid={problems.length > 0}
        described={problems.length ? `${id}-problems` : help ? `${id}-help` : undefined}
        readOnly={form.readOnly}
        onType={(next) => form.change(shownAs, next)}
        onCommit={(next) => form.commit(shownAs, next)}
        onChoices={() => form.onChoices?.(field.name)}
      />
      <Words id={id} help={help} problems={problems} />
    </div>
  );
}

// What can be told without the server, so that nobody mends a form twice.
function wrongly(field, value) {
  if (field.required && field.widget !== "switch" && isEmpty(value)) return { code: "missing_param", params: { name: field.name } };
  const isAddress = isEmpty(value) || isExpression(value) || /^[^@\s]+@[^@\s]+$/.test(value);
  return field.widget === "email" && !isAddress ? { code: "not_email", params: { value } } : null;
}

function wrong(fields, values) {
  const found = fields.map((field) => [field.name, wrongly(field, values[field.name])]);
  return Object.fromEntries(found.filter(([, problem]) => problem).map(([name, problem]) => [name, [problem]]));
}

/** The form. `errors` are problems by field; see app/ui/schema_form.py for the rest. */
export function SchemaForm({
  schema, value = {}, errors = {}, choices = {}, references = [], expressions = false, readOnly = false, onChange,
  onType, onChoices, onSubmit, onCancel, submit, busy = false, beside = null,
}) {
  const text = useText();
  const every = useMemo(() => fieldsOf(schema), [schema]);
  const [draft, setDraft] = useDraft(value);
  const fields = every.filter((field) => counts(field, draft, schema));
  const [empty, setEmpty] = useState({});
  const form = {
    expressions, references, readOnly, onChoices,
    change: (field, typed) => {
      setDraft((now) => ({ ...now, [field.name]: typed }));
      onType?.(field.name, parsed(field, typed));
    },
    commit: (field, typed) => {
      const next = parsed(field, typed);
      setEmpty((now) => ({ ...now, [field.name]: undefined }));
      setDraft((now) => ({ ...now, [field.name]: next }));
      if (!same(next, value[field.name])) onChange?.(field.name, next);
    },
    clear: (field) => {
      setDraft((now) => ({ ...now, [field.name]: undefined }));
      onChange?.(field.name, undefined);
    },
  };
  const send = (event) => {
    event.preventDefault();
    event.stopPropagation();
    const values = Object.fromEntries(fields.map((field) => [field.name, parsed(field, draft[field.name])]));
    const gaps = wrong(fields, values);
    setEmpty(gaps);
    if (Object.keys(gaps).length === 0) onSubmit?.(filled(values));
    else event.currentTarget.querySelector(`[data-field="${Object.keys(gaps)[0]}"] :is(input, select, textarea)`)?.focus();
  };
  const body = fields.map((field) => (
    <Field
      key={field.name}
      field={field}
      value={draft[field.name]}
      problems={errors[field.name] ?? empty[field.name] ?? []}
      choices={choices[field.name]}
      form={form}
    />
  ));
  if (!onSubmit) return <div className="os-form">{body}</div>;
  return (
    <form className="os-form" onSubmit={send} noValidate>
      {body}
      <div className="os-form-foot">
        {beside}
        {onCancel ? (
          <button type="button" className="os-button" onClick={() => onCancel()}>
            {text("common.cancel")}
          </button>
        ) : null}
        <button type="submit" className="os-button" data-kind="primary" disabled={busy}>
          {submit ?? text("common.save")}
        </button>
      </div>
    </form>
  );
}
