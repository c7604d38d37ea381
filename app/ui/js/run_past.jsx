// The run at a past moment: a slider over its events. What is looked at then is not what is now, and says so.
import { useEffect, useRef, useState } from "react";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

const MOVING_MS = 150;

/** The moment that is looked at (null is now), a function that chooses one, and the run as it was then once it came. */
export function usePast(run, past, onMoment) {
  const [moment, setMoment] = useState(null);
  const timer = useRef(null);
  useEffect(() => setMoment(null), [run?.id]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const choose = (next) => {
    setMoment(next);
    clearTimeout(timer.current);
    if (next !== null) timer.current = setTimeout(() => onMoment(next), MOVING_MS);
  };
  const there = moment !== null && past?.id === run?.id && past?.seq === moment;
  return [moment, choose, there ? past : null];
}

/** The slider, and what is looked at. */
export function Moments({ run, moment, past, onChoose }) {
  const text = useText();
  if (!run.seq || run.archive) return null;
  const now = moment === null;
  return (
    <div className="os-moments" data-past={!now}>
      <label className="os-line os-small">
        <span>{text("run.moment")}</span>
        <input
          type="range"
          min={0}
          max={run.seq}
          value={now ? run.seq : moment}
          aria-valuetext={now ? text("run.moment_now") : text("run.moment_at", { number: moment, count: run.seq })}
          onChange={(event) => onChoose(Number(event.target.value) >= run.seq ? null : Number(event.target.value))}
        />
        <span className="os-figures">{now ? text("run.moment_now") : text("run.moment_at", { number: moment, count: run.seq })}</span>
      </label>
      {now ? null : (
        <div className="os-callout" data-colour="amber" role="status" aria-busy={!past}>
          <Icon name="history" />
          <span>{past ? text("run.moment_was", { when: text.when(past.at), state: text(`state.${past.state}`) }) : text("common.loading")}</span>
          <button type="button" className="os-button" data-size="small" onClick={() => onChoose(null)}>
            {text("run.moment_back")}
          </button>
        </div>
      )}
    </div>
  );
}
