// Who works at what just now, and what waits for which client.
import { Link } from "react-router";
import { StateBadge, Tag } from "./badges.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { Ago, Lasting } from "./time.jsx";

const PLACES = { batch: "batches", wave: "waves" };

// A run in hand: which, for whom, since when, and the step that is being done.
function Held({ run }) {
  const text = useText();
  return (
    <li className="os-hand">
      <Icon name="play" size={12} />
      <span className="os-hand-words">
        <Link className="os-link" to={`/c/${run.client}/${PLACES[run.kind] ?? "runs"}/${run.run}`}>
          {run.label || run.workflow_name}
        </Link>{" "}
        <span className="os-muted">
          {run.client_name}
          {run.label && run.label !== run.workflow_name ? ` · ${run.workflow_name}` : null}
        </span>
      </span>
      <span className="os-hand-step">
        {run.step ? (
          <>
            <span className="os-wrap">{run.step}</span> <Lasting start={run.step_since} />
          </>
        ) : (
          <span className="os-muted">{text("health.no_step")}</span>
        )}
      </span>
      <span className="os-muted os-hand-since">
        {text("health.in_hand_for")} <Lasting start={run.since} />
      </span>
    </li>
  );
}

function Worker({ worker, code }) {
  const text = useText();
  const unseen = worker.holds - worker.runs.length;
  return (
    <>
      <tr data-worker={worker.name} data-open={worker.holds > 0}>
        <td>
          <span className="os-cell-line">
            <span className="os-mono os-strong os-wrap">{worker.name}</span>
            {worker.kind === "scheduler" ? <Tag>{text(worker.leads ? "health.leads" : "health.stands_by")}</Tag> : null}
          </span>
        </td>
        <td>
          <StateBadge state={worker.state} plain />
        </td>
        <td>
          <Ago at={worker.heard_at} />
        </td>
        <td data-narrow="false">
          <Lasting start={worker.started_at} />
        </td>
        <td data-narrow="false">
          <span className="os-cell-line">
            <span className="os-mono os-tiny">{worker.code || "—"}</span>
            {worker.code !== code ? (
              <Tag colour="amber" icon="triangle-alert">
                {text("health.other_code")}
              </Tag>
            ) : null}
          </span>
        </td>
        <td className="os-figures" data-align="end" data-narrow="false">
          {worker.kind === "worker" ? text.number(worker.holds) : ""}
        </td>
      </tr>
      {worker.holds > 0 ? (
        <tr className="os-under">
          <td colSpan={6}>
            <ul className="os-plain">
              {worker.runs.map((run) => (
                <Held key={run.run} run={run} />
              ))}
              {unseen > 0 ? <li className="os-muted">{text("health.unseen", { count: unseen })}</li> : null}
            </ul>
          </td>
        </tr>
      ) : null}
    </>
  );
}

/** Workers and schedulers; `code` is the version of the web process, `workers` as GET /api/v1/health gives them. */
export function Workers({ workers, code }) {
  const text = useText();
  return (
    <section className="os-table-box" aria-label={text("health.workers")}>
      <div className="os-panel-head">
        <h2>{text("health.workers")}</h2>
        <span className="os-muted os-tiny os-light">
          {text("health.pages_code")} <span className="os-mono">{code}</span>
        </span>
      </div>
      <div className="os-table-scroll">
      <table className="os-table">
        <thead>
          <tr>
            <th>{text("health.worker")}</th>
            <th>{text("health.state")}</th>
            <th>{text("health.heard")}</th>
            <th data-narrow="false">{text("health.up_for")}</th>
            <th data-narrow="false">{text("health.code")}</th>
            <th data-align="end" data-narrow="false">{text("health.holds")}</th>
          </tr>
        </thead>
        <tbody>
          {workers.map((worker) => (
            <Worker key={worker.id} worker={worker} code={code} />
          ))}
          {workers.length === 0 ? (
            <tr>
              <td colSpan={6} className="os-muted">
                {text("health.no_workers")}
              </td>
            </tr>
          ) : null}
        </tbody>
      </table>
      </div>
    </section>
  );
}

function Queue({ queue }) {
  const text = useText();
  const full = queue.limit !== null && queue.running >= queue.limit;
  return (
    <tr data-client={queue.client ?? ""}>
      <td>
        {queue.client ? (
          <Link className="os-strong" to={`/c/${queue.client}/runs`}>
            {queue.name}
          </Link>
        ) : (
          <span className="os-muted">{text("health.other_clients", { count: queue.clients })}</span>
        )}
      </td>
      <td className="os-figures" data-align="end">{text.number(queue.waiting)}</td>
      <td className="os-figures" data-align="end">{text.number(queue.running)}</td>
      <td className="os-figures" data-align="end">
        <span className="os-cell-line os-cell-end">
          {full ? <Tag colour="amber">{text("health.full")}</Tag> : null}
          {queue.limit === null ? <span className="os-muted">{queue.client ? text("health.no_limit") : "—"}</span> : text.number(queue.limit)}
        </span>
      </td>
      <td>{queue.oldest_at ? <Lasting start={queue.oldest_at} /> : <span className="os-muted">—</span>}</td>
      <td className="os-figures" data-align="end" data-narrow="false">{text.number(queue.timers)}</td>
      <td className="os-figures" data-align="end" data-narrow="false">{text.number(queue.idle)}</td>
    </tr>
  );
}

/** The queue of each client that has one. */
export function Queues({ queues }) {
  const text = useText();
  return (
    <section className="os-table-box" aria-label={text("health.queues")}>
      <div className="os-panel-head">
        <h2>{text("health.queues")}</h2>
      </div>
      <div className="os-table-scroll">
      <table className="os-table">
        <thead>
          <tr>
            <th>{text("waves.client")}</th>
            <th data-align="end">{text("health.waiting")}</th>
            <th data-align="end">{text("health.running")}</th>
            <th data-align="end">{text("health.limit")}</th>
            <th>{text("health.oldest")}</th>
            <th data-align="end" data-narrow="false">{text("health.queue_timers")}</th>
            <th data-align="end" data-narrow="false">{text("health.queue_idle")}</th>
          </tr>
        </thead>
        <tbody>
          {queues.map((queue) => (
            <Queue key={queue.client ?? ""} queue={queue} />
          ))}
          {queues.length === 0 ? (
            <tr>
              <td colSpan={7} className="os-muted">
                {text("health.no_queue")}
              </td>
            </tr>
          ) : null}
        </tbody>
      </table>
      </div>
    </section>
  );
}
