// A text that is kept when its field is left, or at Enter.
import { useEffect, useState } from "react";

export function Typed({ value, onKeep, as: As = "input", className = "", ...rest }) {
  const [draft, setDraft] = useState(value);
  useEffect(() => setDraft(value), [value]);
  const keep = () => draft !== value && onKeep(draft);
  const onKeyDown = (event) => event.key === "Enter" && As === "input" && keep();
  return <As className={`os-input ${className}`} value={draft} onChange={(event) => setDraft(event.target.value)} onBlur={keep} onKeyDown={onKeyDown} {...rest} />;
}
