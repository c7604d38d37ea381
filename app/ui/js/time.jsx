// Times that stay true while the page is open.
import { useEffect, useState } from "react";
import { useText } from "./i18n.js";

/** Now, in milliseconds, renewed every `every` milliseconds while `active`. */
export function useNow(every = 30000, active = true) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every, active]);
  return now;
}

/** "3 minutes ago", with the exact time on hover. `at` is ISO 8601. */
export function Ago({ at }) {
  const text = useText();
  const now = useNow();
  if (!at) return null;
  return (
    <time dateTime={at} title={text.when(at)} className="os-figures">
      {text.ago(at, now)}
    </time>
  );
}

/** How long something took, or has taken so far while it has no end. */
export function Lasting({ start, end }) {
  const text = useText();
  const now = useNow(1000, Boolean(start) && !end);
  if (!start) return null;
  const until = end ? new Date(end).getTime() : now;
  return <span className="os-figures">{text.lasts(Math.max(0, (until - new Date(start).getTime()) / 1000))}</span>;
}
