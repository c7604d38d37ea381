// One trigger (`?open=`): when it comes, in whose name, what the last firings led to, what a watch sees.
import { useEffect, useState } from "react";
import { Link } from "react-router";
import { useQueryChange, useQueryPart } from "./address.js";
import { StateBadge } from "./badges.jsx";
import { Confirm, Modal } from "./dialog.jsx";
import { Skeleton } from "./feedback.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { ChangeCounts } from "./plan_counts.jsx";
import { Ago } from "./time.jsx";

// Why something did not start: a reason with what it speaks of, or an error of the catalogue.
export function whyWords(why, text) {
  if (!why) return "";
  const key = `reason.${why.code}`;
  if (text.has(key)) return text(key, { ...why.params, ...why });
  const first = why.errors?.[0];
  return [text.say(why), first ? `${first.field ?? ""}: ${text.say(first)}` : ""].filter(Boolean).join(" ");
}

function Pair({ name, children }) {
  const text = useText();
  return (
    <div>
      <dt>{text(`triggers.${name}`)}</dt>
      <dd className="os-wrap">{children}</dd>
    </div>
  );
}

function When({ trigger }) {
  const text = useText();
  const { config } = trigger;
  if (trigger.kind === "schedule") {
    return (
      <Pair name="schedule">
        <span className="os-mono">{config.cron}</span> {config.zone}
      </Pair>
    );
  }
  if (trigger.kind === "event") return <Pair name="event">{text(`triggers.on_${config.on}`)}</Pair>;
  return (
    <>
      <Pair name="proof">{text(`triggers.auth_${config.auth}`)}</Pair>
      <Pair name="address">
        <span className="os-mono">{trigger.url}</span>
      </Pair>
    </>
  );
}

function Drift({ drift }) {
  const text = useText();
  return (
    <div className="os-callout" data-colour={drift.state === "drift" ? "amber" : "grey"}>
      <Icon name={drift.state === "drift" ? "triangle-alert" : "eye"} />
      <span>
        <b>{text(`triggers.drift_${drift.state}`)}</b> {drift.since ? <Ago at={drift.since} /> : null} <ChangeCounts counts={drift.counts} />
        {drift.error ? <span className="os-error">{text("triggers.check_failed")} {text.say(drift.error)}</span> : null}
      </span>
    </div>
  );
}

function Firings({ firings }) {
  const text = useText();
  if (!firings) return <Skeleton rows={3} />;
  if (!firings.length) return <p className="os-muted os-small">{text("triggers.never_fired")}</p>;
  return (
    <ul className="os-plain">
      {firings.map((firing) => (
        <li key={firing.id} className="os-line">
          <StateBadge state={firing.outcome} plain />
          <span className="os-muted os-tiny">
            <Ago at={firing.at} />
          </span>
          {firing.run ? (
            <Link className="os-link os-small" to={firing.href}>
              {text("triggers.to_run")}
            </Link>
          ) : null}
          <span className="os-small os-wrap">{whyWords(firing.why, text)}</span>
        </li>
      ))}
    </ul>
  );
}

function Buttons({ trigger, onTurn, onFire, onRemove }) {
  const text = useText();
  const [asking, setAsking] = useState(false);
  const change = useQueryChange();
  return (
    <div className="os-form-foot">
      <button type="button" className="os-button" data-kind="danger" onClick={() => setAsking(true)}>
        <Icon name="trash" size={14} />
        {text("common.remove")}
      </button>
      <button type="button" className="os-button" onClick={() => change({ open: null, edit: trigger.id })}>
        <Icon name="pencil" size={14} />
        {text("triggers.change")}
      </button>
      {trigger.kind === "schedule" ? (
        <button type="button" className="os-button" onClick={() => onFire(trigger.id)}>
          <Icon name="play" size={14} />
          {text("triggers.fire")}
        </button>
      ) : null}
      <button type="button" className="os-button" data-kind="primary" onClick={() => onTurn(trigger.id, !trigger.enabled)}>
        <Icon name="power" size={14} />
        {text(trigger.enabled ? "triggers.turn_off" : "triggers.turn_on")}
      </button>
      <Confirm
        open={asking}
        title={text("triggers.remove_title", { name: trigger.name })}
        effect={text("triggers.remove")}
        onConfirm={() => onRemove(trigger.id)}
        onClose={() => setAsking(false)}
      >
        <p>{text("triggers.remove_help")}</p>
      </Confirm>
    </div>
  );
}

/** The dialog. `history` has the firings of the trigger that `onLook` was asked for last. */
export function TriggerDialog({ triggers = [], history = {}, mayWrite, onLook, ...can }) {
  const text = useText();
  const [open, setOpen] = useQueryPart("open");
  const trigger = triggers.find((one) => one.id === open);
  useEffect(() => {
    if (open) onLook(open);
  }, [open, trigger?.last_firing?.id]);
  if (!trigger) return null;
  return (
    <Modal open title={trigger.name} onClose={() => setOpen(null)} width="620px">
      <div className="os-stack">
        <div className="os-facts">
          <StateBadge state={trigger.state} />
          <span>{text(`triggers.kind_${trigger.kind}`)}</span>
          <span>{trigger.workflow_name}</span>
          <span>{text(`triggers.mode_${trigger.mode}`)}</span>
        </div>
        {trigger.stopped ? (
          <div className="os-callout" data-colour="red" role="alert">
            <Icon name="octagon-x" />
            <span>{whyWords(trigger.stopped, text)}</span>
          </div>
        ) : null}
        {trigger.drift ? <Drift drift={trigger.drift} /> : null}
        <dl className="os-pairs">
          <When trigger={trigger} />
          <Pair name="version">{trigger.version ?? text("triggers.version_published")}</Pair>
          {trigger.on_behalf_of ? <Pair name="in_the_name_of">{trigger.on_behalf_of}</Pair> : null}
          {trigger.next?.length ? <Pair name="next">{trigger.next.map((at) => text.when(at)).join(" · ")}</Pair> : null}
          {Object.entries(trigger.inputs).map(([name, value]) => (
            <div key={name}>
              <dt className="os-mono">{name}</dt>
              <dd className="os-mono os-wrap">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
            </div>
          ))}
        </dl>
        <h3 className="os-small">{text("triggers.history")}</h3>
        <Firings firings={history.id === open ? history.firings : null} />
        {mayWrite ? <Buttons trigger={trigger} {...can} /> : null}
      </div>
    </Modal>
  );
}
