// A state is always a word, an icon and a colour together.
import { Icon } from "./icons.jsx";
import { useText } from "./i18n.js";

// Colours are those of app/ui/tokens: grey, blue, amber, green, red, slate, violet, orange.
const STATES = {
  queued: ["circle-dashed", "grey"],
  pending: ["circle-dashed", "grey"],
  running: ["loader", "blue"],
  waiting: ["hourglass", "amber"],
  paused: ["pause", "amber"],
  succeeded: ["circle-check", "green"],
  failed: ["circle-x", "red"],
  cancelled: ["circle-slash", "grey"],
  skipped: ["circle-slash", "grey"],
  undone: ["undo", "violet"],
  unknown: ["help", "orange"],
  open: ["hourglass", "amber"],
  approved: ["circle-check", "green"],
  denied: ["circle-x", "red"],
  expired: ["clock", "grey"],
  void: ["circle-slash", "grey"],
  untested: ["circle-dashed", "grey"],
  ok: ["circle-check", "green"],
  right: ["circle-check", "green"],
  up: ["circle-check", "green"],
  down: ["circle-x", "red"],
  alive: ["circle-check", "green"],
  silent: ["circle-x", "red"],
  degraded: ["triangle-alert", "amber"],
  removed: ["trash", "grey"],
  held: ["hand", "amber"],
  not_run: ["circle-slash", "grey"],
  preparing: ["clock", "grey"],
  draft: ["pencil", "amber"],
  published: ["circle-check", "green"],
  success: ["circle-check", "green"],
  failure: ["circle-x", "red"],
  started: ["circle-check", "green"],
  off: ["power", "grey"],
  stopped: ["octagon-x", "red"],
  refused: ["circle-x", "red"],
  drift: ["triangle-alert", "amber"],
};

/** The state of a run, step, approval, connection or part, as its code. */
export function StateBadge({ state, plain = false }) {
  const text = useText();
  if (!state) return null;
  const [icon, colour] = STATES[state] ?? ["circle", "grey"];
  return (
    <span className="os-badge" data-colour={colour} data-plain={plain} data-state={state}>
      <Icon name={icon} size={13} data-moving={state === "running"} />
      <span>{text(`state.${state}`)}</span>
    </span>
  );
}

/** A few words on a tint: `colour` is one of the state colours, `icon` a name or nothing. */
export function Tag({ colour = "grey", icon, children }) {
  return (
    <span className="os-badge" data-colour={colour}>
      {icon ? <Icon name={icon} size={12} /> : null}
      <span>{children}</span>
    </span>
  );
}
