// Which of a client's runs go first, where more are ready than are walked at once.
import { useText } from "./i18n.js";

/** From the last to the first. */
export const PRIORITIES = ["low", "normal", "high"];

/** A choice of three; to go before the others takes a right. */
export function Priority({ value, onChange, may }) {
  const text = useText();
  return (
    <label className="os-beside">
      <span className="os-muted os-small">{text("priority.short")}</span>
      <select className="os-input" aria-label={text("priority.label")} value={value} onChange={(event) => onChange(event.target.value)}>
        {PRIORITIES.map((one) => (
          <option key={one} value={one} disabled={one === "high" && !may.hurry}>
            {text(`priority.${one}`)}
          </option>
        ))}
      </select>
    </label>
  );
}
