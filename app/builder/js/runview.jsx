// The run or plan that the canvas shows: how it stands, its steps, and what can be done about it.
import { useEffect, useMemo } from "react";
import { Link, useParams } from "react-router";
import { PlanView } from "$/public/external/app/ui/js/plan.jsx";
import { titleOf } from "./node.jsx";
import { Choice, Panel } from "./panel.jsx";
import { hasEnded } from "./runs.js";
import { Icon, StateBadge, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";

// Why it waits, or how it failed: the words of the run's page.
function Reason({ run }) {
  const text = useText();
  const { reason } = run;
  if (!reason?.code || run.state === "succeeded") return null;
  const key = `reason.${reason.code}`;
  const waits = run.state === "waiting";
  return (
    <div className="os-callout" data-colour={waits ? "amber" : "red"}>
      <Icon name={waits ? "hourglass" : "circle-alert"} size={15} />
      <span>{text.has(key) ? text(key, reason) : text.say(reason)}</span>
    </div>
  );
}

function Steps({ run }) {
  const text = useText();
  const { actions, sight } = useBuilder();
  const doc = useSelect((s) => s.doc);
  const types = useSelect((s) => s.types);
  const rows = Object.values(run.nodes).filter((step) => doc.nodes[step.node]);
  return rows.map((step) => {
    const node = doc.nodes[step.node];
    const detail = step.error ? text.say(step.error) : (step.change?.label ?? null);
    return (
      <Choice key={step.node} info={types[node.type]} label={titleOf(node, types[node.type], text)} detail={detail} data-node-row={step.node}
        onClick={() => { actions.openNode(step.node); sight.show([step.node]); }}>
        <StateBadge state={step.state} plain />
      </Choice>
    );
  });
}

const nameOf = (step, doc, types, text) => {
  const node = doc.nodes[step.node];
  return node ? titleOf(node, types[node.type], text) : step.name || step.node;
};

// When a run begins, it is shown from its beginning; afterwards the view is the person's own.
function useBeginningInSight(id) {
  const { sight } = useBuilder();
  useEffect(() => { sight.begin(); }, [id]);
}

export function RunPanel() {
  const text = useText();
  const { client } = useParams();
  const { runs, store } = useBuilder();
  const run = useSelect((s) => s.run);
  const canCancel = useSelect((s) => s.permissions.has("run.cancel"));
  useBeginningInSight(run?.id);
  if (!run) return null;
  const close = () => { runs.close(); store.set({ panel: null }); };
  return (
    <Panel title={text(run.mode === "plan" ? "builder.planning" : "builder.run_view")} name="run" onClose={close}>
      <div className="ob-panel-body ob-run">
        <div className="ob-row">
          <StateBadge state={run.state} />
          <Link className="os-link" to={`/c/${client}/runs/${run.id}`}>{text("builder.open_run")}</Link>
          {canCancel && !hasEnded(run) ? <button type="button" className="os-button" data-size="small" data-kind="danger" onClick={runs.cancel}>{text("builder.cancel_run")}</button> : null}
        </div>
        <Reason run={run} />
        {run.state === "waiting" ? <Link className="os-button" to={`/c/${client}/approvals`}>{text("builder.open_approvals")}</Link> : null}
        <div className="ob-list"><Steps run={run} /></div>
      </div>
    </Panel>
  );
}

// The words of the fields that a step's change speaks of, from what the palette knows of its type.
const wordsOf = (types) =>
  Object.fromEntries(
    Object.entries(types).map(([id, type]) => {
      const titled = Object.entries(type.params?.properties ?? {}).filter(([, spec]) => spec["x-title"]);
      const fields = Object.fromEntries(titled.map(([name, spec]) => [name, spec["x-title"]]));
      return [id, { title: type.title, fields: { ...fields, ...type.field_words } }];
    }),
  );

export function PlanPanel() {
  const text = useText();
  const { actions, runs, sight, store } = useBuilder();
  const plan = useSelect((s) => s.plan);
  const run = useSelect((s) => s.run);
  const canRun = useSelect((s) => s.permissions.has("run.start"));
  const doc = useSelect((s) => s.doc);
  const types = useSelect((s) => s.types);
  const words = useMemo(() => wordsOf(types), [types]);
  const steps = useMemo(() => (plan?.steps ?? []).map((step) => ({ ...step, name: nameOf(step, doc, types, text) })), [plan, doc, types, text]);
  useBeginningInSight(plan?.id);
  const stale = useSelect((s) => Boolean(s.plan) && s.plan.revision != null && s.plan.revision !== s.revision);
  if (!plan) return null;
  const busy = run?.id === plan.id && !hasEnded(run);
  const close = () => { runs.close(); store.set({ panel: null }); };
  const show = (id) => { actions.select([id]); sight.show([id]); };
  const apply = () => runs.start({ mode: "apply", plan: plan.id, inputs: plan.inputs ?? {} });
  const blocked = busy || plan.state !== "succeeded" || (plan.summary?.problems ?? 0) > 0 || Boolean(plan.node);
  return (
    <Panel title={text("builder.plan_title")} name="plan" onClose={close}>
      <div className="ob-panel-body ob-run">
        {busy ? <div className="ob-row"><StateBadge state={run.state} /><span className="os-muted">{text("builder.planning_help")}</span></div> : null}
        <Reason run={plan} />
        {stale ? <div className="os-callout" data-colour="amber"><Icon name="triangle-alert" size={15} /><span>{text("builder.plan_stale")}</span></div> : null}
        {busy ? <div className="ob-list"><Steps run={run} /></div> : <PlanView steps={steps} counts={plan.summary} seal={plan.seal} types={words} opened={0} onStep={show} />}
      </div>
      {canRun ? (
        <footer className="ob-panel-foot">
          <button type="button" className="os-button" data-kind="primary" disabled={blocked || stale} onClick={apply} data-action="run-plan"><Icon name="play" size={15} />{text("builder.run_plan")}</button>
        </footer>
      ) : null}
    </Panel>
  );
}
