// The control of one field, by its widget.
import { useState } from "react";
import { KeyValues, ListField, MultiSelect } from "./form_many.jsx";
import { LiveChoice } from "./form_live.jsx";
import { RowsField, SchemaField } from "./form_rows.jsx";
import { isExpression, optionWords } from "./form_schema.js";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

const onEnter = (commit) => (event) => {
  if (event.key === "Enter") commit(event.target.value);
};

function TextField({ id, field, value, placeholder, invalid, described, readOnly, control, onType, onCommit, type = "text" }) {
  const mono = field.widget === "expression" || isExpression(value);
  return (
    <input
      id={id}
      ref={control}
      className={mono ? "os-input os-mono" : "os-input"}
      type={mono ? "text" : type}
      inputMode={field.widget === "number" && !mono ? "decimal" : undefined}
      value={value ?? ""}
      placeholder={placeholder}
      aria-invalid={invalid || undefined}
      aria-describedby={described}
      aria-required={field.required || undefined}
      readOnly={readOnly}
      spellCheck={false}
      autoComplete="off"
      onChange={(event) => onType(event.target.value)}
      onBlur={(event) => onCommit(event.target.value)}
      onKeyDown={onEnter(onCommit)}
    />
  );
}

function TextArea({ id, value, placeholder, invalid, described, readOnly, control, onType, onCommit }) {
  return (
    <textarea
      id={id}
      ref={control}
      className="os-input"
      rows={4}
      value={value ?? ""}
      placeholder={placeholder}
      aria-invalid={invalid || undefined}
      aria-describedby={described}
      readOnly={readOnly}
      onChange={(event) => onType(event.target.value)}
      onBlur={(event) => onCommit(event.target.value)}
    />
  );
}

// A secret shows what was just typed, if asked to; what is stored is never sent here.
function SecretField(props) {
  const text = useText();
  const [shown, setShown] = useState(false);
  return (
    <span className="os-secret">
      <TextField {...props} type={shown ? "text" : "password"} />
      {props.value ? (
        <button
          type="button"
          className="os-icon-button"
          aria-label={text(shown ? "common.hide" : "common.show")}
          aria-pressed={shown}
          onClick={() => setShown(!shown)}
        >
          <Icon name={shown ? "eye-off" : "eye"} size={14} />
        </button>
      ) : null}
    </span>
  );
}

// What is not chosen is what the schema says it is then.
function SelectField({ id, field, value, invalid, described, readOnly, onCommit }) {
  const text = useText();
  const unset = value === undefined || value === null || value === "";
  const shown = unset && !field.required ? (field.spec.default ?? "") : (value ?? "");
  return (
    <select
      id={id}
      className="os-input"
      value={shown}
      aria-invalid={invalid || undefined}
      aria-describedby={described}
      disabled={readOnly}
      onChange={(event) => onCommit(field.options.find((option) => String(option) === event.target.value))}
    >
      {shown === "" || (!field.required && (field.spec.default ?? null) === null) ? <option value="">{text("form.choose")}</option> : null}
      {field.options.map((option) => (
        <option key={String(option)} value={String(option)}>
          {optionWords(field, option, text)}
        </option>
      ))}
    </select>
  );
}

function SwitchField({ id, value, readOnly, described, field, onCommit }) {
  return (
    <input
      id={id}
      type="checkbox"
      role="switch"
      className="os-switch-input"
      checked={value ?? field.spec.default ?? false}
      disabled={readOnly}
      aria-describedby={described}
      onChange={(event) => onCommit(event.target.checked)}
    />
  );
}

// A value that no other widget fits is typed as JSON; what does not parse is kept and said to be wrong.
function JsonField({ id, value, readOnly, onCommit }) {
  const text = useText();
  const [typed, setTyped] = useState(() => (value === undefined ? "" : JSON.stringify(value, null, 2)));
  const [wrong, setWrong] = useState(false);
  const leave = () => {
    try {
      onCommit(typed.trim() ? JSON.parse(typed) : undefined);
      setWrong(false);
    } catch {
      setWrong(true);
    }
  };
  return (
    <>
      <textarea
        id={id}
        className="os-input os-mono"
        rows={5}
        value={typed}
        readOnly={readOnly}
        aria-invalid={wrong || undefined}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={leave}
      />
      {wrong ? <span className="os-error">{text("form.not_json")}</span> : null}
    </>
  );
}

const CONTROLS = {
  text: TextField,
  email: (props) => <TextField {...props} type="email" />,
  date: (props) => <TextField {...props} type="date" />,
  number: TextField,
  expression: TextField,
  textarea: TextArea,
  secret: SecretField,
  select: SelectField,
  switch: SwitchField,
  multiselect: MultiSelect,
  list: ListField,
  key_values: KeyValues,
  live: LiveChoice,
  live_many: LiveChoice,
  json: JsonField,
  rows: RowsField,
  schema: SchemaField,
  read_action: SelectField,
};

/** The control that a field's widget asks for. */
export function Control(props) {
  const Shape = CONTROLS[props.field.widget] ?? TextField;
  return <Shape {...props} />;
}
