// Two lists that lead to a step: what has to be mended, and the search for one by name.
import { useEffect, useMemo, useRef, useState } from "react";
import { fieldOf } from "./derive.js";
import { titleOf } from "./node.jsx";
import { Choice, Panel } from "./panel.jsx";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";

// The step a problem speaks of; one about a wire leads to where the wire begins.
// One about a step inside another leads to the one that is drawn.
const stepOf = (problem) => problem.node?.split(".")[0] ?? problem.edge?.split("->")[0] ?? null;

export function ProblemsPanel() {
  const text = useText();
  const { actions, sight } = useBuilder();
  const problems = useSelect((s) => s.problems);
  const doc = useSelect((s) => s.doc);
  const types = useSelect((s) => s.types);
  const show = (problem) => {
    const id = stepOf(problem);
    if (!doc.nodes[id]) return;
    actions.openNode(id);
    sight.show([id]);
  };
  const whereOf = (problem) => {
    const node = doc.nodes[stepOf(problem)];
    if (!node) return text("builder.whole");
    const info = types[node.type];
    const field = fieldOf(problem);
    const words = info?.params?.properties?.[field]?.["x-title"];
    return words ? `${titleOf(node, info, text)} › ${text.pick(words)}` : titleOf(node, info, text);
  };
  return (
    <Panel title={text("builder.problems_title")} name="problems">
      <div className="ob-list">
        {problems.map((problem, i) => (
          <Choice key={i} label={whereOf(problem)} detail={text.say(problem)} onClick={() => show(problem)}
            icon={problem.severity === "warning" ? "triangle-alert" : "circle-alert"} data-colour={problem.severity === "warning" ? "amber" : "red"} />
        ))}
        {problems.length ? null : <p className="ob-none"><Icon name="circle-check" size={20} />{text("builder.no_problems_help")}</p>}
      </div>
    </Panel>
  );
}

export function FindPanel() {
  const text = useText();
  const { actions, sight } = useBuilder();
  const doc = useSelect((s) => s.doc);
  const types = useSelect((s) => s.types);
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const field = useRef(null);
  useEffect(() => field.current?.focus(), []);
  const found = useMemo(() => {
    const wanted = query.trim().toLowerCase();
    const words = (node) => `${titleOf(node, types[node.type], text)} ${node.id} ${node.type} ${JSON.stringify(node.params)}`.toLowerCase();
    return Object.values(doc.nodes).filter((node) => words(node).includes(wanted)).slice(0, 100);
  }, [doc, query, types, text]);
  const go = (node) => {
    actions.openNode(node.id);
    sight.show([node.id]);
  };
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setActive((now) => Math.min(Math.max(now + step, 0), found.length - 1));
    }
    if (event.key === "Enter" && found[active]) go(found[active]);
  };
  return (
    <Panel title={text("builder.find")} name="find">
      <div className="ob-search">
        <Icon name="search" size={15} />
        <input ref={field} type="search" className="os-input" value={query} placeholder={text("builder.find_hint")} aria-label={text("builder.find_hint")}
          onChange={(event) => { setQuery(event.target.value); setActive(0); }} onKeyDown={onKeyDown} />
      </div>
      <div className="ob-list">
        {found.map((node, i) => (
          <Choice key={node.id} info={types[node.type]} label={titleOf(node, types[node.type], text)} detail={node.id} onClick={() => go(node)} data-active={i === active} />
        ))}
        {found.length ? null : <p className="ob-none">{text("builder.nothing_found")}</p>}
      </div>
    </Panel>
  );
}
