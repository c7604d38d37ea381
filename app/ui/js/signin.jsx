// The sign-in form: a real HTML form, because only an answer over HTTP can set the session's cookie.
import { useEffect, useRef, useState } from "react";
import { Icon } from "./icons.jsx";
import { setLocale, useText } from "./i18n.js";

const CODE_ERRORS = ["otp_required", "otp_wrong", "otp_used"];
const KNOWN_ERRORS = ["bad_credentials", "too_many", "unavailable", ...CODE_ERRORS];
const EMAIL = "opsloom.email";

// Stands in the page itself, so that a form that is sent before this code has arrived is sent like any other: once, with
// the page that was wanted, and with the address kept for another try. A page that the browser brings back may be sent again.
const EARLY = `addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "true";
  form.elements.next.value = new URLSearchParams(location.search).get("next") ?? "/";
  try { sessionStorage.setItem("${EMAIL}", form.elements.email.value); } catch {}
}, true);
addEventListener("pageshow", () => { delete document.forms[0]?.dataset.sent; });`;

function kept() {
  try {
    return window.sessionStorage.getItem(EMAIL) ?? "";
  } catch {
    return "";
  }
}

function useQuery() {
  const [query, setQuery] = useState({});
  useEffect(() => setQuery(Object.fromEntries(new URLSearchParams(window.location.search))), []);
  return query;
}

function Field({ name, label, help, invalid, ...rest }) {
  return (
    <label className="os-field">
      <span className="os-label">{label}</span>
      <input className="os-input" name={name} aria-invalid={invalid || undefined} {...rest} />
      {help ? <span className="os-help">{help}</span> : null}
    </label>
  );
}

/** The form; `action` is the REST route it posts to, `demo` the command that prints a code, where this is a demo. */
export function SignIn({ action, demo }) {
  const text = useText();
  const query = useQuery();
  // The browser keeps what is typed, not this code: it may have been typed before the code arrived.
  const form = useRef(null);
  const [sending, setSending] = useState(false);
  useEffect(() => {
    const { email, password } = form.current.elements;
    email.value ||= kept();
    document.documentElement.classList.remove("os-wait");
    // A field of a page that waited for its language could not take the focus.
    // After a refused try the address is there, and the password has to be typed again.
    const tried = Boolean(email.value) && new URLSearchParams(window.location.search).has("error");
    if (tried && !password.value && [document.body, email].includes(document.activeElement)) password.focus();
    else if (document.activeElement === document.body) email.focus();
    const again = () => setSending(false);
    window.addEventListener("pageshow", again);
    return () => window.removeEventListener("pageshow", again);
  }, []);
  useEffect(() => {
    document.title = `${text("signin.title")} · Opsloom`;
  }, [text]);
  const error = query.error && (KNOWN_ERRORS.includes(query.error) ? query.error : "unexpected");
  return (
    <main className="os-signin">
      <script dangerouslySetInnerHTML={{ __html: EARLY }} />
      <form className="os-signin-card" method="post" action={action} ref={form} onSubmit={() => setSending(true)}>
        <h1>
          <span className="os-logo" aria-hidden="true" />
          {text("app.name")}
        </h1>
        <p className="os-muted os-small">{text("signin.tagline")}</p>
        {error ? (
          <div className="os-callout" data-colour={error === "otp_required" ? "blue" : "red"} role="alert">
            <Icon name={error === "otp_required" ? "info" : "circle-alert"} />
            <span>{text(`signin.error.${error}`, { seconds: Number(query.retry_after) || 30 })}</span>
          </div>
        ) : null}
        {query.out ? <p className="os-small">{text("signin.signed_out")}</p> : null}
        <input type="hidden" name="next" value={query.next ?? "/"} readOnly />
        <Field
          name="email"
          type="email"
          label={text("signin.email")}
          autoComplete="username"
          required
          autoFocus
          invalid={error === "bad_credentials"}
        />
        <Field
          name="password"
          type="password"
          label={text("signin.password")}
          autoComplete="current-password"
          required
          invalid={error === "bad_credentials"}
        />
        <Field
          name="otp"
          label={text("signin.otp")}
          help={text("signin.otp_help")}
          autoComplete="one-time-code"
          inputMode="numeric"
          maxLength={20}
          invalid={CODE_ERRORS.includes(error)}
        />
        <button type="submit" className="os-button" data-kind="primary" disabled={sending}>
          {text(sending ? "signin.sending" : "signin.submit")}
        </button>
        {demo ? (
          <p className="os-tiny os-muted">
            <b>{text("signin.demo")}</b> {text("signin.demo_help")} <code className="os-mono">{demo}</code>
          </p>
        ) : null}
      </form>
      <p className="os-signin-foot">
        <button type="button" className="os-link" lang="en" onClick={() => setLocale("en")}>
          English
        </button>
        <button type="button" className="os-link" lang="fr" onClick={() => setLocale("fr")}>
          Français
        </button>
      </p>
    </main>
  );
}
