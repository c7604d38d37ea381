// What a step waits for, and the form that it asks somebody to fill in.
import { useState } from "react";
import { given } from "./address.js";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { SchemaForm } from "./schema_form.jsx";
import { Ago } from "./time.jsx";

/** Who is asked: one of the named people, or of the roles. */
export function useAsked() {
  const text = useText();
  return ({ people = [], roles = [] }) => ({ anyOf: people.length ? people : roles.map((role) => text(`role.${role}`)) });
}

/** That those who are asked were reminded, and when. */
export function Reminded({ at }) {
  const text = useText();
  if (!at) return null;
  return (
    <span>
      {text("approval.reminded")} <Ago at={at} />
    </span>
  );
}

function Until({ what, title }) {
  const text = useText();
  return (
    <>
      <p>{text("wait.until", { action: title, seconds: what.every_s })}</p>
      <p className="os-mono os-tiny os-wrap">{what.expression}</p>
      {what.error ? (
        <p className="os-small">
          {text("wait.last_error")} {text.say(what.error)}
        </p>
      ) : null}
    </>
  );
}

/** What the step waits for, in words. */
export function Waiting({ step, types }) {
  const text = useText();
  const asked = useAsked();
  const what = step.waiting_for;
  if (step.state !== "waiting" || !what) return null;
  const title = types[what.action] ? text.pick(types[what.action].title) : what.action;
  const words = {
    time: () => <p>{text("wait.time", { when: text.when(what.at) })}</p>,
    retry: () => <p>{text("wait.retry", { when: text.when(what.at) })}</p>,
    until: () => <Until what={what} title={title} />,
    approval: () => <p>{text("wait.approval")}</p>,
    form: () => <p>{text("wait.form", { who: asked(what) })}</p>,
  }[what.kind];
  if (!words) return null;
  return (
    <div className="os-callout" data-colour="amber" role="status" data-waits={what.kind}>
      <Icon name="hourglass" />
      <div>
        {words()}
        {what.deadline ? <p className="os-tiny">{text("wait.deadline", { when: text.when(what.deadline) })}</p> : null}
      </div>
    </div>
  );
}

// Problems of an answer by the field they speak of.
function byField(problem) {
  const found = {};
  for (const one of problem?.errors ?? []) (found[String(one.field ?? "").replace(/^answer\./, "").split(".")[0]] ??= []).push(one);
  return found;
}

function OneForm({ form, problem, busy, onAnswer }) {
  const text = useText();
  const asked = useAsked();
  const [sent, setSent] = useState(false);
  const mine = sent ? given(problem) : null;
  const send = (answer) => {
    setSent(true);
    onAnswer({ form: form.id, answer });
  };
  return (
    <section className="os-panel" data-form={form.node}>
      <div className="os-panel-head">
        <h2>{form.title}</h2>
      </div>
      <div className="os-panel-body os-stack">
        {form.message ? <p className="os-wrap">{form.message}</p> : null}
        <p className="os-small os-muted">
          {text("wait.form", { who: asked(form) })} <Ago at={form.asked_at} />
        </p>
        {form.deadline ? (
          <p className="os-small">
            {text("wait.deadline", { when: text.when(form.deadline) })} <Reminded at={form.reminded_at} />
          </p>
        ) : null}
        {mine?.code && !mine.errors?.length ? (
          <div className="os-callout" data-colour="red" role="alert">
            <Icon name="circle-alert" />
            <span>{text.say(mine)}</span>
          </div>
        ) : null}
        {form.may_answer ? (
          <SchemaForm schema={form.fields} errors={byField(mine)} submit={text("wait.send")} busy={busy} onSubmit={send} />
        ) : (
          <p className="os-muted os-small">{text("wait.not_you")}</p>
        )}
      </div>
    </section>
  );
}

/** The forms of a run that are open. `onAnswer({form, answer})`; `problem` is why the last answer was not taken. */
export function OpenForms({ forms = [], problem, busy, onAnswer }) {
  return forms.filter((form) => form.state === "open").map((form) => <OneForm key={form.id} {...{ form, problem, busy, onAnswer }} />);
}
