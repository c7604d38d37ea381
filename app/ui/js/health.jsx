// The system: whether each part answers and how fast, who works at what, and what waits.
import { StateBadge } from "./badges.jsx";
import { Skeleton } from "./feedback.jsx";
import { Queues, Workers } from "./health_work.jsx";
import { useText } from "./i18n.js";
import { Ago } from "./time.jsx";

// These stand in a list of their own, one by one.
const LISTED = ["workers", "schedulers"];

function Part({ part }) {
  const text = useText();
  const details = Object.entries(part.detail ?? {}).filter(([, value]) => typeof value !== "object");
  return (
    <tr>
      <td className="os-strong">{text.has(`health.part_${part.name}`) ? text(`health.part_${part.name}`) : part.name}</td>
      <td>
        <StateBadge state={part.state} plain />
      </td>
      <td className="os-figures" data-align="end">
        {text.lasts(part.ms / 1000)}
      </td>
      <td className="os-muted os-mono os-tiny" data-narrow="false">
        {details.map(([name, value]) => `${name}=${value}`).join("  ")}
      </td>
    </tr>
  );
}

/** The page's content; `at` is when it was asked. */
export function Health({ health, at }) {
  const text = useText();
  if (!health?.parts) return <Skeleton rows={6} />;
  const numbers = Object.entries(health.queue ?? {}).filter(([name]) => !LISTED.includes(name));
  return (
    <>
      <div className="os-line">
        <StateBadge state={health.ready ? "up" : "down"} />
        <span className="os-small">{text(health.ready ? "health.ready" : "health.not_ready")}</span>
        <span className="os-muted os-tiny">
          <Ago at={at} />
        </span>
      </div>
      <div className="os-table-box">
        <table className="os-table">
          <thead>
            <tr>
              <th>{text("health.part")}</th>
              <th>{text("health.state")}</th>
              <th data-align="end">{text("health.answer")}</th>
              <th data-narrow="false">{text("common.details")}</th>
            </tr>
          </thead>
          <tbody>
            {health.parts.map((part) => (
              <Part key={part.name} part={part} />
            ))}
          </tbody>
        </table>
      </div>
      <dl className="os-numbers">
        {numbers.map(([name, value]) => (
          <div key={name} className="os-panel">
            <dt>{text.has(`health.queue_${name}`) ? text(`health.queue_${name}`) : name}</dt>
            <dd className="os-figures">{name.endsWith("_s") ? (value < 1 ? "—" : text.lasts(Math.round(value))) : text.number(value)}</dd>
          </div>
        ))}
      </dl>
      <Workers workers={health.workers ?? []} code={health.code} />
      <Queues queues={health.clients ?? []} />
    </>
  );
}
