// Adding, testing and removing a connection.
import { useEffect, useState } from "react";
import { given, useQueryPart } from "./address.js";
import { StateBadge } from "./badges.jsx";
import { Confirm, Modal } from "./dialog.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { SchemaForm } from "./schema_form.jsx";
import { Ago } from "./time.jsx";

const slug = (words) =>
  words
    .normalize("NFD")
    .replace(/\p{Diacritic}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "");

// The two words that each connection has beside its platform's settings, as a schema of the same kind.
const ABOUT = (text) => ({
  name: { type: "string", "x-title": { en: text("connections.name"), fr: text("connections.name") }, "x-help": { en: text("connections.name_help"), fr: text("connections.name_help") } },
  alias: { type: "string", "x-title": { en: text("connections.alias"), fr: text("connections.alias") }, "x-help": { en: text("connections.alias_help"), fr: text("connections.alias_help") } },
});

function schemaOf(platform, text) {
  const { config_schema: schema } = platform;
  return { ...schema, properties: { ...ABOUT(text), ...schema.properties }, required: ["name", "alias", ...(schema.required ?? [])] };
}

function errorsOf(problem) {
  const found = {};
  for (const one of problem?.errors ?? []) {
    const name = String(one.field ?? "").replace(/^config\.?/, "").split(".")[0];
    (found[name] ??= []).push(one);
  }
  return found;
}

/** The dialog that adds one (`?add=1`). The platform is tried before anything is stored. */
export function AddConnection({ platforms = [], problem: said, busy, onAdd }) {
  const text = useText();
  const [open, setOpen] = useQueryPart("add");
  const problem = given(said);
  const [chosen, setChosen] = useState(null);
  useEffect(() => {
    if (!open) setChosen(null);
  }, [open]);
  const platform = platforms.find((one) => one.id === chosen);
  const errors = errorsOf(problem);
  const whole = errors[""]?.[0] ?? (problem && !problem.errors?.length ? problem : null);
  const send = ({ name, alias, ...config }) => onAdd({ platform: platform.id, name, alias: slug(alias), config });
  return (
    <Modal open={Boolean(open)} title={text("connections.add")} onClose={() => setOpen(null)}>
      {platform ? (
        <div className="os-stack">
          {whole ? (
            <div className="os-callout" data-colour="red" role="alert">
              <Icon name="circle-alert" />
              <span>{text.say(whole)}</span>
            </div>
          ) : null}
          <SchemaForm
            key={platform.id}
            schema={schemaOf(platform, text)}
            value={{ name: text.pick(platform.title), alias: platform.id }}
            errors={errors}
            onSubmit={send}
            onCancel={() => setChosen(null)}
            submit={text(busy ? "connections.testing" : "connections.test_and_add")}
            busy={busy}
          />
        </div>
      ) : (
        <ul className="os-platforms">
          {platforms.map((one) => (
            <li key={one.id}>
              <button type="button" className="os-choice-card" onClick={() => setChosen(one.id)}>
                <Icon name={one.icon} size={20} />
                <b>{text.pick(one.title)}</b>
              </button>
            </li>
          ))}
        </ul>
      )}
    </Modal>
  );
}

function Permissions({ names, good }) {
  const text = useText();
  if (!names?.length) return null;
  return (
    <div>
      <h3 className="os-small">{text(good ? "connections.granted" : "connections.missing", { count: names.length })}</h3>
      <ul className="os-permissions">
        {names.map((name) => (
          <li key={name} data-colour={good ? "green" : "red"}>
            <Icon name={good ? "check" : "x"} size={12} />
            <span className="os-mono os-wrap">{name}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function TestFound({ found }) {
  const text = useText();
  if (!found) return <p className="os-muted os-small">{text("connections.never_tested")}</p>;
  if (!found.ok) {
    return (
      <div className="os-callout" data-colour="red" role="alert">
        <Icon name="circle-x" />
        <span>{text.say(found.error)}</span>
      </div>
    );
  }
  return (
    <>
      <p className="os-small">
        {text("connections.leads_to")} <b>{found.tenant_name}</b> <span className="os-mono os-muted os-wrap">{found.tenant}</span>
      </p>
      <Permissions names={found.missing} good={false} />
      <Permissions names={found.granted} good />
    </>
  );
}

// A setting as it is shown: a choice in its words, names with values one a line, a list with commas.
function shownSetting(spec, value, text) {
  if (value === true) return text("common.yes");
  const words = spec?.["x-options"]?.[value];
  if (words) return text.pick(words);
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "object" ? Object.entries(value).map((pair) => pair.join(": ")).join("\n") : String(value);
}

const isSet = (value) => Boolean(value) && (typeof value !== "object" || Object.keys(value).length > 0);

/** One connection (`?open=`): what it leads to, which permissions it has and lacks; test it again, or remove it. */
export function ConnectionDialog({ connections = [], platforms = [], mayWrite, busy, onTest, onRemove }) {
  const text = useText();
  const [open, setOpen] = useQueryPart("open");
  const connection = connections.find((one) => one.id === open);
  const [asking, setAsking] = useState(false);
  const platform = platforms.find((one) => one.id === connection?.platform);
  return (
    <Modal open={Boolean(connection?.id)} title={connection?.name ?? ""} onClose={() => setOpen(null)}>
      {connection?.id ? (
        <div className="os-stack">
          <div className="os-facts">
            <StateBadge state={connection.state} />
            <span>{platform ? text.pick(platform.title) : connection.platform}</span>
            <span className="os-mono">{connection.alias}</span>
            {connection.tested_at ? (
              <span>
                {text("connections.tested")} <Ago at={connection.tested_at} />
              </span>
            ) : null}
          </div>
          <TestFound found={connection.last_test} />
          <dl className="os-pairs">
            {Object.entries(connection.config)
              .filter(([, value]) => isSet(value))
              .map(([name, value]) => {
                const spec = platform?.config_schema.properties?.[name];
                const words = spec?.["x-title"];
                return (
                  <div key={name}>
                    <dt>{words ? text.pick(words) : name}</dt>
                    <dd className="os-mono os-wrap">{shownSetting(spec, value, text)}</dd>
                  </div>
                );
              })}
          </dl>
          {mayWrite ? (
            <div className="os-form-foot">
              <button type="button" className="os-button" data-kind="danger" onClick={() => setAsking(true)}>
                <Icon name="trash" size={14} />
                {text("common.remove")}
              </button>
              <button type="button" className="os-button" data-kind="primary" disabled={busy} onClick={() => onTest(connection.id)}>
                <Icon name="refresh-cw" size={14} />
                {text(busy ? "connections.testing" : "connections.test")}
              </button>
            </div>
          ) : null}
          <Confirm
            open={asking}
            title={text("connections.remove_title", { name: connection.name })}
            effect={text("connections.remove")}
            onConfirm={() => onRemove(connection.id)}
            onClose={() => setAsking(false)}
          >
            <p>{text("connections.remove_help")}</p>
          </Confirm>
        </div>
      ) : null}
    </Modal>
  );
}
