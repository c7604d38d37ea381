// A number that is kept within its bounds when the field is left; an empty field means that nothing is said.
import { useEffect, useState } from "react";

export function NumberField({ label, help, value, placeholder, min, max, onKeep, disabled, unit }) {
  const [draft, setDraft] = useState(value ?? "");
  useEffect(() => setDraft(value ?? ""), [value]);
  const keep = () => {
    if (draft === "") return onKeep(null);
    const number = Math.min(Math.max(Number(draft), min), max);
    if (Number.isFinite(number)) onKeep(number);
    return setDraft(Number.isFinite(number) ? number : (value ?? ""));
  };
  return (
    <label className="os-field">
      <span className="os-label">{label}{unit ? <small className="os-muted">({unit})</small> : null}</span>
      <input type="number" className="os-input os-figures" value={draft} min={min} max={max} placeholder={placeholder} disabled={disabled}
        onChange={(event) => setDraft(event.target.value)} onBlur={keep} onKeyDown={(event) => event.key === "Enter" && keep()} />
      {help ? <span className="os-help">{help}</span> : null}
    </label>
  );
}
