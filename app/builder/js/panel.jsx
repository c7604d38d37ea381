// The frame of everything that stands at the right of the canvas.
import { Icon, useText } from "./shared.js";
import { StepIcon } from "./step_icon.jsx";
import { useBuilder } from "./store.js";

export function Panel({ title, name, actions, children, onClose }) {
  const text = useText();
  const { store } = useBuilder();
  const close = onClose ?? (() => store.set({ panel: null, adding: null }));
  const onKeyDown = (event) => {
    // What floats over the panel (a list, a menu) has an Escape of its own.
    if (event.key !== "Escape" || event.defaultPrevented || !event.currentTarget.contains(event.target)) return;
    event.stopPropagation();
    close();
    document.querySelector(".ob-root")?.focus();
  };
  return (
    <aside className="ob-panel" data-panel={name} aria-label={typeof title === "string" ? title : undefined} onKeyDown={onKeyDown}>
      <header className="ob-panel-head">
        {typeof title === "string" ? <h2 className="os-truncate">{title}</h2> : title}
        {actions}
        <button type="button" className="os-icon-button" onClick={close} aria-label={text("common.close")}><Icon name="x" size={16} /></button>
      </header>
      {children}
    </aside>
  );
}

export function Choice({ icon, info, label, detail, onClick, children, ...rest }) {
  return (
    <button type="button" className="ob-choice" onClick={onClick} {...rest}>
      {icon ? <Icon name={icon} size={15} /> : null}
      {info ? <StepIcon info={info} size={15} /> : null}
      <span className="ob-words"><strong className="os-truncate">{label}</strong>{detail ? <small>{detail}</small> : null}</span>
      {children}
    </button>
  );
}
