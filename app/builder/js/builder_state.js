// The builder's state and what changes it: messages from the server, and what a person does.
import { createActions } from "./actions.js";
import { checked } from "./derive.js";
import { createEdits } from "./edits.js";
import { createRuns, hasEnded } from "./runs.js";
import { createStore } from "./store.js";
import { flowFrom } from "./view.js";

const START = {
  phase: "loading", // loading | ready | missing
  workflow: null,
  canWrite: false,
  permissions: new Set(),
  types: {},
  connections: [],
  variables: [],
  platforms: {},
  roles: {},
  doc: null,
  confirmed: null,
  revision: 0,
  pending: [],
  sending: null,
  late: false,
  savedAt: null,
  savedDoc: null,
  undo: [],
  redo: [],
  conflict: null,
  merged: null,
  refusal: null,
  restored: 0,
  problems: [],
  checkedRevision: 0,
  checkedDoc: null,
  overtaken: new Set(),
  flow: { nodes: [], edges: [] },
  openNode: null,
  panel: null, // steps | problems | plan | run | versions | workflow | keys
  adding: null,
  dialog: null,
  choices: {},
  versions: null,
  shownVersion: null,
  plan: null,
  run: null,
  starting: null,
  dirty: new Set(),
  note: null,
  renaming: false,
};

// Fields of a step that change what it does, and so make its last result old.
const TELLING = new Set(["params", "connection", "type", "disabled", "on_error"]);

const touched = (pairs) => pairs.filter(([path]) => path[0] === "nodes" && (path.length === 2 || TELLING.has(path[2]))).map(([path]) => path[1]);

const SERIES = "opsloom.builder.series";
const lastSeries = {
  read: () => window.sessionStorage.getItem(SERIES),
  keep: (epoch) => window.sessionStorage.setItem(SERIES, epoch),
};

export function createBuilder(workflowId) {
  const store = createStore(START);
  const { get, set } = store;
  const handlers = { current: {} };
  const spent = lastSeries.read();
  let epoch = null;
  let seen = 0;
  let ackTimer = null;

  // Every call says what was seen, so that the server can forget its older messages.
  const send = (name, payload = {}) => handlers.current[name]?.({ ...payload, seen, epoch });

  const edits = createEdits({
    store,
    push: (batch) => send("onPush", batch),
    onEdit: (pairs) => get().run && set((state) => ({ dirty: new Set([...state.dirty, ...touched(pairs)]) })),
    onDocument: (doc) => set((state) => ({ flow: flowFrom(doc, state.flow) })),
  });
  const actions = createActions({ store, edits });
  const runs = createRuns({ store, send });

  const onMessage = {
    opened: (message) => opened(message),
    missing: () => set({ phase: "missing" }),
    saved: edits.saved,
    stale: edits.rebase,
    refused: edits.refused,
    // Checks run beside each other: one of an older drawing may take longer than that of a newer.
    problems: ({ problems, revision }) => revision >= get().checkedRevision && set(checked(get(), problems, revision)),
    choices: ({ request, ...result }) => set((state) => ({ choices: { ...state.choices, [request]: result } })),
    versions: ({ rows }) => set({ versions: rows }),
    version: (message) => set({ shownVersion: message }),
    saved_version: (message) => savedVersion(message),
    published: (message) => published(message),
    problem: ({ problem }) => set({ starting: null, refusal: problem }),
    ...runs.onMessage,
  };

  async function opened(message) {
    const { shown: workflow, catalogue, connections, variables, permissions, platforms, roles, me } = message;
    const types = Object.fromEntries(catalogue.map((info) => [info.id, info]));
    const granted = new Set(permissions);
    const canWrite = granted.has("workflow.write");
    set({ workflow, types, connections, variables, platforms, roles, permissions: granted, canWrite });
    // Answers that were on their way when the connection went are not coming.
    set((state) => ({ choices: Object.fromEntries(Object.entries(state.choices).filter(([, got]) => got.state !== "loading")), starting: null }));
    const { run } = get();
    if (run && !hasEnded(run)) send("onWatch", { run: run.id });
    await edits.opened(message, `${me}:${workflow.id}`);
    set({ phase: "ready" });
  }

  function savedVersion({ version, revision, created }) {
    set((state) => ({
      workflow: { ...state.workflow, latest_version: version, version_revision: revision },
      versions: null,
      starting: null,
      note: { kind: "success", key: created ? "builder.version_saved" : "builder.version_same", params: { version } },
    }));
    if (get().panel === "versions") send("onVersions");
  }

  function published({ version, revision }) {
    set((state) => ({
      workflow: {
        ...state.workflow,
        published_version: version,
        latest_version: Math.max(version, state.workflow.latest_version ?? 0),
        version_revision: revision ?? state.workflow.version_revision,
      },
      starting: null,
      note: { kind: "success", key: "builder.published_note", params: { version } },
    }));
    if (get().panel === "versions") send("onVersions");
  }

  // The server keeps its messages until they are confirmed, and begins a new series when the page is opened. A series
  // that an earlier page of this tab has seen tells of what was then.
  function receive(inbox) {
    if (!inbox?.epoch || inbox.epoch === spent) return;
    if (inbox.epoch !== epoch) {
      epoch = inbox.epoch;
      seen = 0;
      lastSeries.keep(epoch);
    }
    const fresh = inbox.messages.filter((message) => message.n > seen && message.workflow === workflowId);
    for (const { n, kind, workflow: _, ...message } of fresh) {
      seen = n;
      onMessage[kind]?.(message);
    }
    if (!fresh.length) return;
    clearTimeout(ackTimer);
    ackTimer = setTimeout(() => send("onReceived"), 400);
  }

  return { store, edits, actions, runs, send, handlers, receive };
}
