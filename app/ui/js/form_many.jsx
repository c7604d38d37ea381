// Controls for several values: a list of words, a choice of several, names with values.
import { useEffect, useState } from "react";
import { optionWords } from "./form_schema.js";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

/** A removable word. */
export function Token({ children, onRemove, label }) {
  const text = useText();
  return (
    <span className="os-token">
      <span className="os-truncate">{children}</span>
      {onRemove ? (
        <button type="button" aria-label={text("form.drop", { name: label ?? "" })} onClick={onRemove}>
          <Icon name="x" size={11} />
        </button>
      ) : null}
    </span>
  );
}

const asList = (value) => (Array.isArray(value) ? value : value === undefined || value === null || value === "" ? [] : [value]);

/** Words that are typed one after the other: Enter or a comma ends one. */
export function ListField({ id, value, placeholder, invalid, described, readOnly, onCommit }) {
  const [typed, setTyped] = useState("");
  const words = asList(value);
  const add = () => {
    const next = typed.split(",").map((word) => word.trim()).filter(Boolean);
    setTyped("");
    if (next.length) onCommit([...new Set([...words, ...next])]);
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && typed) {
      event.preventDefault();
      add();
    } else if (event.key === "Backspace" && !typed && words.length) onCommit(words.slice(0, -1));
  };
  return (
    <span className="os-input os-tokens" aria-invalid={invalid || undefined}>
      {words.map((word) => (
        <Token key={word} label={String(word)} onRemove={readOnly ? null : () => onCommit(words.filter((one) => one !== word))}>
          {String(word)}
        </Token>
      ))}
      <input
        id={id}
        value={typed}
        placeholder={words.length ? "" : placeholder}
        aria-describedby={described}
        readOnly={readOnly}
        onChange={(event) => (event.target.value.endsWith(",") ? add() : setTyped(event.target.value))}
        onKeyDown={onKeyDown}
        onBlur={add}
      />
    </span>
  );
}

/** Several out of a few fixed options. */
export function MultiSelect({ id, field, value, readOnly, onCommit }) {
  const text = useText();
  const chosen = asList(value);
  const toggle = (option, on) =>
    onCommit(field.options.filter((one) => (one === option ? on : chosen.includes(one))));
  return (
    <span className="os-options" id={id} role="group">
      {field.options.map((option) => (
        <label key={String(option)} className="os-check">
          <input
            type="checkbox"
            checked={chosen.includes(option)}
            disabled={readOnly}
            onChange={(event) => toggle(option, event.target.checked)}
          />
          {optionWords(field, option, text)}
        </label>
      ))}
    </span>
  );
}

const toRows = (value) => Object.entries(value && typeof value === "object" ? value : {});
const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

// A number, yes or no, or a list stays one; everything else is a text.
function read(typed) {
  try {
    const value = JSON.parse(typed);
    return value === null ? typed : value;
  } catch {
    return typed;
  }
}

/** Names and values; a value may hold an expression. */
export function KeyValues({ id, value, readOnly, onCommit }) {
  const text = useText();
  const [rows, setRows] = useState(() => toRows(value));
  const key = JSON.stringify(value ?? {});
  useEffect(() => {
    if (JSON.stringify(Object.fromEntries(rows.filter(([name]) => name))) !== key) setRows(toRows(value));
  }, [key]);
  const change = (index, part) => setRows((now) => now.map((row, at) => (at === index ? part(row) : row)));
  const commit = (next = rows) => onCommit(Object.fromEntries(next.filter(([name]) => name.trim())));
  return (
    <span className="os-key-values" id={id} role="group">
      {rows.map(([name, one], index) => (
        <span key={index} className="os-key-value">
          <input
            className="os-input os-mono"
            value={name}
            aria-label={text("form.name")}
            placeholder={text("form.name")}
            readOnly={readOnly}
            onChange={(event) => change(index, (row) => [event.target.value, row[1]])}
            onBlur={() => commit()}
          />
          <input
            className="os-input"
            value={shown(one) ?? ""}
            aria-label={text("form.value")}
            placeholder={text("form.value")}
            readOnly={readOnly}
            onChange={(event) => change(index, (row) => [row[0], event.target.value])}
            onBlur={() => commit(rows.map((row, at) => (at === index ? [row[0], read(shown(row[1]))] : row)))}
          />
          {readOnly ? null : (
            <button
              type="button"
              className="os-icon-button"
              aria-label={text("form.drop", { name })}
              onClick={() => {
                const next = rows.filter((_, at) => at !== index);
                setRows(next);
                commit(next);
              }}
            >
              <Icon name="x" size={13} />
            </button>
          )}
        </span>
      ))}
      {readOnly ? null : (
        <button type="button" className="os-button" data-size="small" onClick={() => setRows((now) => [...now, ["", ""]])}>
          <Icon name="plus" size={12} />
          {text("form.add_value")}
        </button>
      )}
    </span>
  );
}
