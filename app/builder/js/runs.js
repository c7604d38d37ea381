// Plans and runs as the canvas shows them, from the messages of the server.
const ENDED = new Set(["succeeded", "failed", "cancelled"]);

export const hasEnded = (run) => Boolean(run) && ENDED.has(run.state);

export function createRuns({ store, send }) {
  const { get, set } = store;

  // `mode` is plan or apply; `plan` the id of the sealed plan that is to be carried out; `node` limits it to one step.
  function start({ mode, inputs = {}, plan = null, node = null }) {
    set({ starting: mode, dialog: null, refusal: null });
    send("onStart", { mode, inputs, plan, node, revision: get().revision, key: crypto.randomUUID() });
    try {
      window.sessionStorage.setItem(storageKey(), JSON.stringify(inputs));
    } catch {
      // Without storage the form starts empty the next time.
    }
  }

  const storageKey = () => `opsloom.inputs.${get().workflow?.id}`;

  function lastInputs() {
    try {
      return JSON.parse(window.sessionStorage.getItem(storageKey()) ?? "{}");
    } catch {
      return {};
    }
  }

  const mergedNodes = (old, steps) => {
    const nodes = { ...old };
    for (const step of steps) nodes[step.node] = { ...nodes[step.node], ...step };
    return nodes;
  };

  const said = (run) => Object.fromEntries(Object.entries(run).filter(([, value]) => value !== null && value !== undefined));

  // A run from its beginning, or from where it was lost: {run: {id, mode, state, ...}, steps: [...]}
  function shown({ run, steps }) {
    const known = get().run?.id === run.id ? get().run : null;
    const next = { ...known, ...said(run), nodes: mergedNodes(known?.nodes, steps) };
    set((state) => ({
      run: next,
      starting: null,
      panel: known ? state.panel : panelOf(next),
      openNode: known ? state.openNode : null,
      plan: next.mode === "plan" ? planOf(next) : state.plan,
      dirty: known ? state.dirty : new Set(),
    }));
  }

  const panelOf = (run) => (run.mode === "plan" ? "plan" : "run");

  function progressed({ run: said_, steps }) {
    const { run } = get();
    if (run?.id !== said_.id) return;
    const next = { ...run, ...said(said_), reason: said_.reason, nodes: mergedNodes(run.nodes, steps) };
    set((state) => ({ run: next, plan: next.mode === "plan" ? planOf(next) : state.plan }));
  }

  const planOf = ({ id, state, seal, summary, reason, inputs, revision, only_node: node, plan }) => ({
    id, state, seal, summary, reason, inputs, revision, node, steps: plan ?? [],
  });

  // The server watches for a while and then asks whether somebody is still looking.
  function watchEnded({ id }) {
    const { run } = get();
    if (run?.id === id && !hasEnded(run)) send("onWatch", { run: id });
  }

  function close() {
    set({ run: null, plan: null });
    send("onWatch", { run: null });
  }

  return {
    start, lastInputs, close,
    cancel: () => send("onCancel", { run: get().run?.id }),
    onMessage: { run: shown, run_progress: progressed, watch_ended: watchEnded },
  };
}
