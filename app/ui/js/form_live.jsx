// A choice out of what the client's tenant has. The list is asked for when it is opened; nobody types an id.
import { useState } from "react";
import { Popover } from "@radix-ui/themes";
import { Skeleton } from "./feedback.jsx";
import { Token } from "./form_many.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

const asList = (value) => (Array.isArray(value) ? value : value === undefined || value === null || value === "" ? [] : [value]);

function Row({ row, chosen, active, many, onPick, onHover }) {
  return (
    <button
      type="button"
      role="option"
      aria-selected={chosen}
      className="os-choice-main"
      data-active={active}
      disabled={row.disabled}
      onMouseMove={onHover}
      onClick={onPick}
    >
      {many ? <input type="checkbox" tabIndex={-1} readOnly checked={chosen} /> : null}
      <span className="os-truncate">{row.label ?? row.value}</span>
      {row.detail ? <span className="os-muted os-tiny os-truncate">{row.detail}</span> : null}
      {chosen && !many ? <Icon name="check" size={13} /> : null}
    </button>
  );
}

function List({ choices, chosen, many, onPick, onAgain, onFree }) {
  const text = useText();
  const [wanted, setWanted] = useState("");
  const [active, setActive] = useState(0);
  const words = wanted.trim().toLowerCase();
  const fits = (row) => `${row.label} ${row.value} ${row.detail ?? ""}`.toLowerCase().includes(words);
  const rows = (choices?.rows ?? []).filter(fits);
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setActive((now) => Math.max(0, Math.min(rows.length - 1, now + step)));
    else if (event.key === "Enter" && rows[active]) onPick(rows[active].value);
    else if (event.key === "Enter" && wanted.trim()) onFree(wanted.trim());
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div onKeyDown={onKeyDown}>
      <input
        className="os-input os-choices-search"
        autoFocus
        value={wanted}
        placeholder={text("common.search")}
        aria-label={text("common.search")}
        onChange={(event) => {
          setWanted(event.target.value);
          setActive(0);
        }}
      />
      <div className="os-choices" role="listbox" aria-multiselectable={many} aria-busy={choices?.state === "loading"}>
        {!choices || choices.state === "loading" ? <Skeleton rows={4} /> : null}
        {choices?.state === "error" ? (
          <div className="os-choices-none">
            <p className="os-error">{text.say(choices.problem)}</p>
            <button type="button" className="os-button" data-size="small" onClick={onAgain}>
              {text("common.retry")}
            </button>
          </div>
        ) : null}
        {rows.map((row, index) => (
          <Row
            key={String(row.value)}
            row={row}
            many={many}
            chosen={chosen.includes(row.value)}
            active={index === active}
            onHover={() => setActive(index)}
            onPick={() => onPick(row.value)}
          />
        ))}
        {choices?.state === "ready" && rows.length === 0 ? (
          <div className="os-choices-none">
            {wanted.trim() ? (
              <button type="button" className="os-link" onClick={() => onFree(wanted.trim())}>
                {text("form.use_typed", { value: wanted.trim() })}
              </button>
            ) : (
              text("form.no_choices")
            )}
          </div>
        ) : null}
      </div>
    </div>
  );
}

/** The control: one value, or several where the field says so. */
export function LiveChoice({ id, field, value, choices, placeholder, invalid, described, readOnly, onCommit, onChoices }) {
  const text = useText();
  const [open, setOpen] = useState(false);
  const many = field.widget === "live_many";
  const chosen = asList(value);
  const rowOf = (one) => choices?.rows?.find((row) => row.value === one);
  const change = (next) => {
    setOpen(next);
    if (next && choices?.state !== "ready") onChoices();
  };
  const pick = (one) => {
    if (!many) {
      setOpen(false);
      onCommit(one);
    } else onCommit(chosen.includes(one) ? chosen.filter((other) => other !== one) : [...chosen, one]);
  };
  return (
    <Popover.Root open={open} onOpenChange={change}>
      <span className="os-live">
        <Popover.Trigger>
          <button
            type="button"
            id={id}
            className="os-input os-live-button"
            disabled={readOnly}
            aria-invalid={invalid || undefined}
            aria-describedby={described}
            aria-haspopup="listbox"
          >
            {many || chosen.length === 0 ? (
              <span className="os-muted os-truncate">
                {many && chosen.length ? text("form.chosen", { count: chosen.length }) : placeholder || text("form.choose")}
              </span>
            ) : (
              <span className="os-truncate">{rowOf(chosen[0])?.label ?? String(chosen[0])}</span>
            )}
            <Icon name="chevron-down" size={13} />
          </button>
        </Popover.Trigger>
        {many && chosen.length ? (
          <span className="os-tokens">
            {chosen.map((one) => (
              <Token key={String(one)} label={String(one)} onRemove={readOnly ? null : () => pick(one)}>
                {rowOf(one)?.label ?? String(one)}
              </Token>
            ))}
          </span>
        ) : null}
      </span>
      <Popover.Content className="os-popover" width="340px" align="start">
        <List
          {...{ choices, chosen, many }}
          onPick={pick}
          onAgain={onChoices}
          onFree={(typed) => (many ? onCommit([...new Set([...chosen, typed])]) : pick(typed))}
        />
      </Popover.Content>
    </Popover.Root>
  );
}
