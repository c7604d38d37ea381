// One-time secrets. A link stays in the browser's memory: it comes over HTTP, never through a page's state.
import { useState } from "react";
import { useParams } from "react-router";
import { notify } from "./feedback.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { Ago } from "./time.jsx";

async function ask(path, method) {
  try {
    const answer = await fetch(path, { method, headers: { Accept: "application/json" } });
    const body = await answer.json().catch(() => ({}));
    return answer.ok ? { value: body } : { problem: body.code ? body : { code: "unexpected" } };
  } catch {
    return { problem: { code: "unavailable" } };
  }
}

async function copy(words) {
  await navigator.clipboard.writeText(words);
  notify({ kind: "success", key: "common.copied" });
}

function RevealRow({ reveal, canLink }) {
  const text = useText();
  const { client, run } = useParams();
  const [found, setFound] = useState(null);
  const [busy, setBusy] = useState(false);
  const over = reveal.revealed_at || new Date(reveal.expires_at) < new Date();
  const make = async () => {
    setBusy(true);
    setFound(await ask(`/api/v1/clients/${client}/runs/${run}/reveals/${reveal.id}/link`, "POST"));
    setBusy(false);
  };
  return (
    <li className="os-reveal">
      <Icon name="key-round" />
      <span className="os-reveal-words">
        <b>{text.pick(reveal.title)}</b>
        <span className="os-muted os-tiny">
          {reveal.revealed_at ? (
            <>
              {text("reveal.was_shown")} <Ago at={reveal.revealed_at} />
            </>
          ) : over ? (
            text("reveal.over")
          ) : (
            <>
              {text("reveal.expires")} <Ago at={reveal.expires_at} />
            </>
          )}
        </span>
        {found?.problem ? <span className="os-error">{text.say(found.problem)}</span> : null}
        {found?.value ? (
          <span className="os-line">
            <input className="os-input os-mono" readOnly value={found.value.url} aria-label={text("reveal.link")} onFocus={(event) => event.target.select()} />
            <button type="button" className="os-button" onClick={() => copy(found.value.url)}>
              <Icon name="copy" size={13} />
              {text("common.copy")}
            </button>
          </span>
        ) : null}
      </span>
      {canLink && !over && !found?.value ? (
        <button type="button" className="os-button" data-size="small" disabled={busy} onClick={make}>
          <Icon name="link" size={13} />
          {text("reveal.make_link")}
        </button>
      ) : null}
    </li>
  );
}

/** The secrets that a run made. */
export function Reveals({ reveals, canLink }) {
  const text = useText();
  if (!reveals?.length) return null;
  return (
    <section className="os-panel">
      <div className="os-panel-head">
        <h2>{text("reveal.title")}</h2>
      </div>
      <ul className="os-plain">
        {reveals.map((reveal) => (
          <RevealRow key={reveal.id} reveal={reveal} canLink={canLink} />
        ))}
      </ul>
    </section>
  );
}
