// Lists of objects, a row each: as their schema describes them, or as the fields of a form that somebody will fill in.
import { useEffect, useState } from "react";
import { fieldsIn, fromFields, KINDS, nameOf, withKind } from "./form_kinds.js";
import { optionWords, wordsOf } from "./form_schema.js";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

// What is typed stays here until a field is left; a value that changes from outside replaces it.
function useRows(value, read) {
  const [rows, setRows] = useState(() => read(value));
  const [seen, setSeen] = useState(() => JSON.stringify(value ?? null));
  const key = JSON.stringify(value ?? null);
  useEffect(() => {
    if (key !== seen) {
      setSeen(key);
      setRows(read(value));
    }
  }, [key]);
  const commit = (next, write, onCommit) => {
    const given = write(next);
    setRows(next);
    setSeen(JSON.stringify(given));
    onCommit(given);
  };
  return [rows, setRows, commit];
}

function Tools({ name, index, onUp, onDrop }) {
  const text = useText();
  return (
    <span className="os-row-tools">
      {index > 0 ? (
        <button type="button" className="os-icon-button" aria-label={text("form.up", { name })} title={text("form.up", { name })} onClick={onUp}>
          <Icon name="chevron-up" size={13} />
        </button>
      ) : null}
      <button type="button" className="os-icon-button" aria-label={text("form.drop", { name })} title={text("form.drop", { name })} onClick={onDrop}>
        <Icon name="x" size={13} />
      </button>
    </span>
  );
}

const lifted = (rows, index) => {
  const next = [...rows];
  [next[index - 1], next[index]] = [next[index], next[index - 1]];
  return next;
};

function Cell({ column, value, readOnly, onType, onLeave }) {
  const text = useText();
  const { label, placeholder } = wordsOf(column, text);
  if (column.widget === "select") {
    return (
      <select className="os-input" aria-label={label} value={value ?? ""} disabled={readOnly} onChange={(event) => onLeave(event.target.value)}>
        <option value="">{text("form.choose")}</option>
        {column.options.map((option) => (
          <option key={option} value={option}>
            {optionWords(column, option, text)}
          </option>
        ))}
      </select>
    );
  }
  const mono = column.widget === "expression" || column.name === "name";
  return (
    <input
      className={mono ? "os-input os-mono" : "os-input"}
      aria-label={label}
      placeholder={placeholder || label}
      title={label}
      data-wide={column.widget === "expression" || undefined}
      value={value ?? ""}
      readOnly={readOnly}
      spellCheck={false}
      onChange={(event) => onType(event.target.value)}
      onBlur={(event) => onLeave(event.target.value)}
    />
  );
}

const asRows = (value) => (Array.isArray(value) ? value.filter((row) => row && typeof row === "object") : []);
const asList = (rows) => rows.filter((row) => Object.values(row).some(Boolean));

/** A list of objects: a line for each, a control for each of its fields. */
export function RowsField({ id, field, value, invalid, described, readOnly, onCommit }) {
  const text = useText();
  const [rows, setRows, commit] = useRows(value, asRows);
  const put = (index, name, typed) => rows.map((row, at) => (at === index ? { ...row, [name]: typed } : row));
  const keep = (next) => commit(next, asList, onCommit);
  return (
    <span className="os-key-values" id={id} role="group" aria-invalid={invalid || undefined} aria-describedby={described}>
      {rows.map((row, index) => (
        <span key={index} className="os-key-value os-wrap-row" data-row={index}>
          {field.columns.map((column) => (
            <Cell
              key={column.name}
              column={column}
              value={row[column.name]}
              readOnly={readOnly}
              onType={(typed) => setRows(put(index, column.name, typed))}
              onLeave={(typed) => keep(put(index, column.name, typed))}
            />
          ))}
          {readOnly ? null : (
            <Tools name={row.name ?? ""} index={index} onUp={() => keep(lifted(rows, index))} onDrop={() => keep(rows.filter((_, at) => at !== index))} />
          )}
        </span>
      ))}
      {readOnly ? null : (
        <button type="button" className="os-button" data-size="small" onClick={() => setRows([...rows, {}])}>
          <Icon name="plus" size={12} />
          {text("form.add_row")}
        </button>
      )}
    </span>
  );
}

function Asked({ row, readOnly, onType, onKeep }) {
  const text = useText();
  const choices = (words) => [...new Set(words.split(",").map((one) => one.trim()).filter(Boolean))];
  return (
    <>
      <input
        className="os-input"
        aria-label={text("form.field_title")}
        placeholder={text("form.field_title")}
        title={row.name}
        value={row.title}
        readOnly={readOnly}
        onChange={(event) => onType({ ...row, title: event.target.value })}
        onBlur={(event) => onKeep({ ...row, title: event.target.value, name: row.name || nameOf(event.target.value) })}
      />
      <select
        className="os-input"
        aria-label={text("form.field_kind")}
        value={row.kind}
        disabled={readOnly}
        onChange={(event) => onKeep(withKind(row, event.target.value))}
      >
        {KINDS.map((kind) => (
          <option key={kind} value={kind}>
            {text(`builder.kind.${kind}`)}
          </option>
        ))}
      </select>
      {row.kind === "choice" ? (
        <input
          className="os-input"
          aria-label={text("form.field_choices")}
          placeholder={text("form.field_choices")}
          defaultValue={(row.spec.enum ?? []).join(", ")}
          readOnly={readOnly}
          onBlur={(event) => onKeep({ ...row, spec: { ...row.spec, enum: choices(event.target.value) } })}
        />
      ) : null}
      <label className="os-check">
        <input type="checkbox" checked={row.required} disabled={readOnly} onChange={(event) => onKeep({ ...row, required: event.target.checked })} />
        {text("form.field_required")}
      </label>
    </>
  );
}

/** The fields that a form asks for, kept as a JSON schema. What it has beside what is shown here is left as it is. */
export function SchemaField({ id, value, invalid, described, readOnly, onCommit }) {
  const text = useText();
  const [rows, setRows, commit] = useRows(value, fieldsIn);
  const put = (index, row) => rows.map((one, at) => (at === index ? row : one));
  const keep = (next) => commit(next, (given) => fromFields(value, given), onCommit);
  return (
    <span className="os-key-values" id={id} role="group" aria-invalid={invalid || undefined} aria-describedby={described}>
      {rows.map((row, index) => (
        <span key={index} className="os-key-value os-wrap-row" data-asked={row.name}>
          <Asked row={row} readOnly={readOnly} onType={(next) => setRows(put(index, next))} onKeep={(next) => keep(put(index, next))} />
          {readOnly ? null : (
            <Tools name={row.title} index={index} onUp={() => keep(lifted(rows, index))} onDrop={() => keep(rows.filter((_, at) => at !== index))} />
          )}
        </span>
      ))}
      {readOnly ? null : (
        <button type="button" className="os-button" data-size="small" onClick={() => setRows([...rows, { name: "", title: "", kind: "text", required: true, spec: { type: "string" } }])}>
          <Icon name="plus" size={12} />
          {text("form.add_field")}
        </button>
      )}
    </span>
  );
}
