// The list of steps: searched, by platform, dragged onto the canvas or added with a click or Enter.
import { useEffect, useMemo, useRef, useState } from "react";
import { DRAGGED } from "./canvas.jsx";
import { Panel } from "./panel.jsx";
import { Icon, useText } from "./shared.js";
import { StepIcon } from "./step_icon.jsx";
import { useBuilder, useSelect } from "./store.js";

const plain = (words) => words.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();

// Found by words of either language and by the technical name; the better the place of the match, the earlier.
export function searchSteps(infos, query, locale) {
  const words = plain(query).split(/\s+/).filter(Boolean);
  const scored = infos.map((info) => {
    const titles = [info.title[locale] ?? info.title.en, info.title.en, info.title.fr].map(plain);
    const rest = plain(`${info.summary.en} ${info.summary.fr} ${info.category} ${info.connection ?? ""}`);
    const score = words.reduce((sum, word) => {
      if (titles[0].startsWith(word)) return sum + 8;
      if (titles.some((title) => title.split(/\s+/).some((part) => part.startsWith(word)))) return sum + 5;
      if (titles.some((title) => title.includes(word)) || info.id.includes(word)) return sum + 3;
      return rest.includes(word) ? sum + 1 : -Infinity;
    }, 0);
    return { info, score };
  });
  return scored.filter(({ score }) => score >= 0).sort((a, b) => b.score - a.score).map(({ info }) => info);
}

// Groups in the order of the catalogue: what steers the flow first, then each platform's categories.
function grouped(infos) {
  const groups = new Map();
  for (const info of infos) {
    const key = info.connection ? `${info.connection}|${info.category}` : `|${info.category}`;
    if (!groups.has(key)) groups.set(key, { platform: info.connection, category: info.category, infos: [] });
    groups.get(key).infos.push(info);
  }
  return [...groups.values()];
}

function Step({ info, active, onAdd, onHover }) {
  const text = useText();
  const drag = (event) => {
    event.dataTransfer.setData(DRAGGED, info.id);
    event.dataTransfer.effectAllowed = "move";
  };
  const title = text.pick(info.title);
  return (
    <button type="button" role="option" aria-selected={active} className="ob-step" draggable onDragStart={drag}
      onClick={() => onAdd(info.id)} onMouseMove={onHover} data-active={active} data-step={info.id} data-effect={info.effect}>
      <span className="ob-icon" data-category={info.category}><StepIcon info={info} size={18} /></span>
      <span className="ob-words">
        <strong>{title}</strong>
        <small>{text.pick(info.summary)}</small>
      </span>
      {info.effect === "write" && !info.reversible ? <span className="ob-irreversible" title={text.pick(info.irreversible_reason)}>{text("builder.irreversible_short")}</span> : null}
    </button>
  );
}

function groupTitle({ platform, category }, text, platforms) {
  const words = text.has(`builder.category.${category}`) ? text(`builder.category.${category}`) : category;
  return platform ? `${text.pick(platforms[platform] ?? platform)} · ${words}` : words;
}

export function Palette() {
  const text = useText();
  const { actions, store, sight } = useBuilder();
  const types = useSelect((s) => s.types);
  const platforms = useSelect((s) => s.platforms);
  const adding = useSelect((s) => s.adding);
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const field = useRef(null);
  const list = useRef(null);
  const infos = useMemo(() => Object.values(types), [types]);
  const found = useMemo(() => (query.trim() ? searchSteps(infos, query, text.locale) : infos), [infos, query, text.locale]);
  const groups = query.trim() ? [{ infos: found }] : grouped(found);
  const shown = groups.flatMap((group) => group.infos);
  useEffect(() => field.current?.focus({ preventScroll: true }), [adding]);
  useEffect(() => setActive(0), [query]);
  useEffect(() => {
    list.current?.querySelector("[data-active=true]")?.scrollIntoView({ block: "nearest" });
  }, [active]);
  const add = (type) => {
    const { doc } = store.get();
    const options = adding ?? {};
    const at = options.at ?? (options.from || options.edge || Object.keys(doc.nodes).length ? null : sight.centre());
    const id = actions.addNode(type, { ...options, at: options.from && !options.at ? null : at });
    store.set({ adding: null, panel: null });
    sight.show(nearby(store.get().doc, id));
  };
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setActive((now) => Math.min(Math.max(now + step, 0), shown.length - 1));
    } else if (event.key === "Enter" && shown[active]) {
      event.preventDefault();
      add(shown[active].id);
    }
  };
  const index = new Map(shown.map((info, i) => [info.id, i]));
  return (
    <Panel title={text(adding?.from ? "builder.what_next" : "builder.add")} name="steps">
      <div className="ob-search">
        <Icon name="search" size={15} />
        <input ref={field} className="os-input" type="search" value={query} placeholder={text("builder.search_steps")} aria-label={text("builder.search_steps")}
          onChange={(event) => setQuery(event.target.value)} onKeyDown={onKeyDown} aria-controls="ob-steps" />
      </div>
      <div className="ob-steps" id="ob-steps" role="listbox" ref={list} aria-label={text("builder.add")}>
        {groups.map((group) => (
          <section key={`${group.platform}|${group.category}`}>
            {group.category ? <h3>{groupTitle(group, text, platforms)}</h3> : null}
            {group.infos.map((info) => (
              <Step key={info.id} info={info} active={index.get(info.id) === active} onAdd={add} onHover={() => setActive(index.get(info.id))} />
            ))}
          </section>
        ))}
        {shown.length ? null : <p className="ob-none">{text("builder.no_step", { query })}</p>}
      </div>
      <p className="ob-hint">{text("builder.drag_hint")}</p>
    </Panel>
  );
}

// A new step is shown together with the one it follows, so that one sees where one is.
function nearby(doc, id) {
  const before = Object.values(doc.edges).filter((edge) => edge.target === id).map((edge) => edge.source);
  return [id, ...before];
}
