// What tells how things went: toasts, the bar of a lost connection, the way to the sign-in page, pages that cannot show.
import { useContext, useEffect, useState, useSyncExternalStore } from "react";
import { Link } from "react-router";
import { EventLoopContext } from "$/utils/context";
import { Icon } from "./icons.jsx";
import { useText } from "./i18n.js";

const SEEN = "opsloom.seen";
const STAYS_MS = 5000;
const KIND_ICONS = { success: "circle-check", error: "circle-x", info: "info" };

let local = [];
const listeners = new Set();

function changeLocal(next) {
  local = next;
  listeners.forEach((listener) => listener());
}

/** Show a toast from the browser itself: `{kind, key, params}`. */
export function notify(notice) {
  changeLocal([...local.slice(-4), { id: `local-${Date.now()}-${Math.random()}`, ...notice }]);
}

function useLocalNotices() {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => local,
    () => local,
  );
}

// What was read stays read when the page is loaded again, as the server still holds its last few notices then.
const seen = {
  load: () => new Set(JSON.parse(window.sessionStorage.getItem(SEEN) ?? "[]")),
  save: (ids) => window.sessionStorage.setItem(SEEN, JSON.stringify([...ids].slice(-50))),
};

function Toast({ notice, onRead }) {
  const text = useText();
  useEffect(() => {
    if (notice.kind === "error") return undefined;
    const timer = setTimeout(onRead, STAYS_MS);
    return () => clearTimeout(timer);
  }, [notice.id]);
  const problems = notice.problem?.errors ?? [];
  return (
    <div className="os-toast" data-kind={notice.kind} role={notice.kind === "error" ? "alert" : "status"}>
      <Icon name={KIND_ICONS[notice.kind] ?? "info"} />
      <div className="os-toast-text">
        {notice.problem ? text.say(notice.problem) : text(notice.key, notice.params)}
        {problems.length > 0 ? (
          <ul>
            {problems.slice(0, 4).map((problem, index) => (
              <li key={index}>{text.say(problem)}</li>
            ))}
          </ul>
        ) : null}
        {notice.href ? (
          <div>
            <Link to={notice.href} onClick={onRead}>
              {text("common.open")}
            </Link>
          </div>
        ) : null}
      </div>
      <button type="button" className="os-icon-button" onClick={onRead} aria-label={text("common.close")}>
        <Icon name="x" size={14} />
      </button>
    </div>
  );
}

/** Toasts of the server's `notices` and of the browser's own. Errors stay until they are read. */
export function Toasts({ notices = [] }) {
  const own = useLocalNotices();
  const [read, setRead] = useState(() => new Set());
  useEffect(() => setRead(seen.load()), []);
  const markRead = (id) => {
    changeLocal(local.filter((notice) => notice.id !== id));
    setRead((before) => {
      const after = new Set(before).add(id);
      seen.save(after);
      return after;
    });
  };
  const shown = [...notices, ...own].filter((notice) => !read.has(notice.id));
  return (
    <div className="os-toasts" aria-live="polite">
      {shown.map((notice) => (
        <Toast key={notice.id} notice={notice} onRead={() => markRead(notice.id)} />
      ))}
    </div>
  );
}

/** The bar that says the server is out of reach; what is done meanwhile is sent when it is back. */
export function LostConnection() {
  const text = useText();
  const [, errors] = useContext(EventLoopContext);
  if (!errors?.length) return null;
  return (
    <div className="os-bar" data-kind="lost" role="status">
      <Icon name="wifi-off" />
      {text("frame.lost")}
    </div>
  );
}

/** Leave for the sign-in page with a full page load: the socket reads the session's cookie only when it connects. */
export function Gate({ gate }) {
  useEffect(() => {
    if (gate !== "sign_in") return;
    const here = window.location.pathname + window.location.search;
    window.location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
  }, [gate]);
  return null;
}

/** What stands in a page's place when it cannot be shown: `why` is `forbidden` or `not_found`. */
export function Refusal({ why }) {
  const text = useText();
  return (
    <div className="os-empty">
      <Icon name={why === "forbidden" ? "lock" : "search"} size={28} />
      <h2>{text(`refusal.${why}`)}</h2>
      <p>{text(`refusal.${why}_help`)}</p>
      <Link className="os-button" to="/">
        {text("refusal.home")}
      </Link>
    </div>
  );
}

/** What a list says when it has nothing: a sentence and one thing to do. */
export function Empty({ icon = "box", title, help, action }) {
  return (
    <div className="os-empty">
      <Icon name={icon} size={28} />
      <h2>{title}</h2>
      {help ? <p>{help}</p> : null}
      {action ?? null}
    </div>
  );
}

/** Grey bars in the shape of what is coming. */
export function Skeleton({ rows = 6 }) {
  const text = useText();
  return (
    <div className="os-skeletons" role="status" aria-label={text("common.loading")}>
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className="os-skeleton" style={{ width: `${92 - ((index * 13) % 40)}%` }} />
      ))}
    </div>
  );
}
