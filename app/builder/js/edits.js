// Edits: applied to what is shown at once, sent to the server in order, one batch at a time, and sent again until the
// server says that it has them. `confirmed` is the document as the server has it; `doc` is it with what is pending.
import { applyAll, apply, conflicts, diff, getIn, invert, same, toKeyed, toListed } from "./document.js";
import { openLog } from "./log.js";

const RETRY_MS = 4000;
// What is typed waits for a pause; anything else leaves at once, before the page draws what it did.
const TYPING_MS = 200;
const COALESCE_MS = 1000;
const UNDO_DEPTH = 200;

const pairs = (changes) => changes.map(([path, , is]) => [path, is]);

export function createEdits({ store, push, onDocument, onEdit, open = openLog }) {
  let log = null;
  let timer = null;
  let soon = null;
  let noting = 0;
  let noted = Promise.resolve();
  let doubted = new Set();
  let leftovers = false;
  let already = [];
  const { get, set } = store;

  // The browser's notes are written one after the other: a note that is struck out must not come after it was.
  function remember(job) {
    if (!log) return null;
    noting += 1;
    const done = noted.then(() => job(log)).catch(() => null);
    noted = done.then(() => { noting -= 1; });
    return done;
  }

  // Whether closing the page now would lose what nobody else has yet.
  const unsafe = () => get().pending.length > 0 && (noting > 0 || !log?.lasting);

  function show(doc, patch = {}) {
    set({ ...patch, doc });
    onDocument(doc);
  }

  // Lets an edit take effect. `coalesce` joins edits of one field while somebody types into one step of undo.
  function edit(label, pairsToSet, { coalesce = null, history = true } = {}) {
    const { doc, pending, canWrite } = get();
    if (!canWrite || !pairsToSet.length) return;
    const next = apply(doc, { set: pairsToSet });
    if (same(next, doc)) return;
    if (history) record(label, doc, pairsToSet, coalesce);
    const op = joined(coalesce, pairsToSet) ?? { id: crypto.randomUUID(), label, set: pairsToSet };
    const kept = pending.filter((other) => other.id !== op.id);
    if (!pending.length) remember((l) => l.keepBase(get().revision, get().confirmed));
    remember((l) => l.put(op));
    lastKey = coalesce;
    lastId = op.id;
    show(next, { pending: [...kept, op] });
    onEdit(pairsToSet);
    if (coalesce) flushIn(TYPING_MS);
    else flush();
  }

  let lastKey = null;
  let lastId = null;

  function joined(coalesce, pairsToSet) {
    const last = get().pending.at(-1);
    if (!coalesce || coalesce !== lastKey || last?.id !== lastId || get().sending?.includes(lastId)) return null;
    return { ...last, set: pairsToSet };
  }

  function record(label, doc, pairsToSet, coalesce) {
    const { undo } = get();
    const top = undo.at(-1);
    const now = Date.now();
    if (coalesce && top?.coalesce === coalesce && now - top.at < COALESCE_MS) {
      set({ undo: [...undo.slice(0, -1), { ...top, forward: pairsToSet, at: now }], redo: [] });
      return;
    }
    const entry = { label, coalesce, at: now, forward: pairsToSet, back: invert(doc, pairsToSet) };
    set({ undo: [...undo.slice(1 - UNDO_DEPTH), entry], redo: [] });
  }

  function undo() {
    const entry = get().undo.at(-1);
    if (!entry) return;
    set((state) => ({ undo: state.undo.slice(0, -1), redo: [...state.redo, entry] }));
    edit("undo", entry.back, { history: false });
  }

  function redo() {
    const entry = get().redo.at(-1);
    if (!entry) return;
    set((state) => ({ redo: state.redo.slice(0, -1), undo: [...state.undo, { ...entry, coalesce: null }] }));
    edit("redo", entry.forward, { history: false });
  }

  function flushIn(milliseconds) {
    clearTimeout(soon);
    soon = setTimeout(flush, milliseconds);
  }

  function flush() {
    const { pending, sending, conflict, revision } = get();
    if (sending || conflict || !pending.length) return;
    const batch = doubted.has(pending[0].id) ? pending.slice(0, 1) : pending;
    set({ sending: batch.map((op) => op.id) });
    push({ ops: batch, base: revision });
    clearTimeout(timer);
    timer = setTimeout(resend, RETRY_MS);
  }

  // No answer: the connection or the server went away. Sending the same operations again is harmless.
  function resend() {
    if (!get().pending.length) return;
    set({ sending: null, late: true });
    flush();
  }

  function settled(patch) {
    clearTimeout(timer);
    set({ ...patch, sending: null, late: false });
    if (!get().pending.length && !get().conflict) adopt();
  }

  function saved({ ops, revision }) {
    const { pending, confirmed } = get();
    const done = new Set(ops);
    if (!pending.some((op) => done.has(op.id))) return; // Told already, with the document itself.
    const next = applyAll(confirmed, pending.filter((op) => done.has(op.id)));
    const rest = pending.filter((op) => !done.has(op.id));
    remember(async (l) => {
      await l.drop(ops);
      if (rest.length) await l.keepBase(revision, next);
      else await l.dropBase();
    });
    settled({ confirmed: next, pending: rest, revision, savedAt: Date.now() });
    flush();
  }

  // The draft moved under us. What does not touch is put together; what does is asked about, and nothing is dropped.
  function rebase({ document, revision, by, applied = [] }) {
    const { confirmed, doc, pending, conflict } = get();
    // Answers may overtake each other: an older draft than the one we know tells nothing but to ask again.
    if (revision < (conflict?.revision ?? get().revision)) {
      clearTimeout(timer);
      set({ sending: null });
      flush();
      return;
    }
    const theirs = toKeyed(document);
    const known = new Set(applied);
    const left = pending.filter((op) => !known.has(op.id));
    if (pending.length !== left.length) remember((l) => l.drop(pending.filter((op) => known.has(op.id)).map((op) => op.id)));
    const found = left.length ? conflicts(confirmed, doc, theirs) : [];
    if (found.length) {
      settled({ pending: left, conflict: { items: found, theirs, revision, by, changes: diff(confirmed, theirs) } });
      return;
    }
    // What others did is worth a word; what the server has of ours, also where its answer was lost, is not.
    const changes = diff(confirmed, theirs).filter(([path, , is]) => !same(getIn(doc, path) ?? null, is));
    settled({ confirmed: theirs, pending: left, revision, merged: changes.length ? { by, changes } : get().merged });
    show(applyAll(theirs, left));
    flush();
  }

  // `choices` says "mine" or "theirs" for each conflict, by its place in the list.
  function resolve(choices) {
    const { conflict, pending } = get();
    const { theirs, revision, items } = conflict;
    const wanted = items.map(({ path, mine }, i) => [path, choices[i] === "mine" ? mine : getIn(theirs, path)]);
    const result = apply(applyAll(theirs, pending), { set: wanted });
    const left = pairs(diff(theirs, result));
    const next = left.length ? [{ id: crypto.randomUUID(), label: "merge", set: left }] : [];
    remember(async (l) => {
      await l.drop(pending.map((op) => op.id));
      if (!next.length) return l.dropBase();
      await l.keepBase(revision, theirs);
      return l.put(next[0]);
    });
    set({ conflict: null, confirmed: theirs, revision, pending: next });
    show(result);
    flush();
  }

  // What is wrong with one edit is no reason to give up those sent with it: they are then sent one by one.
  function refused({ ops, ...why }) {
    const { pending, confirmed } = get();
    const gone = new Set(ops);
    if (pending.filter((op) => gone.has(op.id)).length > 1) {
      doubted = gone;
      settled({});
      flush();
      return;
    }
    const rest = pending.filter((op) => !gone.has(op.id));
    remember((l) => l.drop(ops));
    settled({ pending: rest, refusal: why });
    show(applyAll(confirmed, rest));
    flush();
  }

  // A first opening, or the same workflow again after the connection came back.
  async function opened({ document, revision, by, applied }, scope) {
    if (get().doc) {
      rebase({ document, revision, by, applied });
      return;
    }
    const keyed = toKeyed(document);
    show(keyed, { confirmed: keyed, revision, pending: [], undo: [], redo: [] });
    log = await open(scope);
    [leftovers, already] = [true, applied];
    await adopt();
  }

  // Takes up what a tab that is gone has left. The next one's is taken when this is with the server: each was made on a
  // document of its own, and stays on the disk until then.
  async function adopt() {
    const { pending, conflict, canWrite } = get();
    if (!leftovers || !canWrite || pending.length || conflict) return;
    const left = await remember((l) => l.adopt());
    if (left) replay(left.document ?? get().confirmed, left.ops);
    else leftovers = false;
  }

  function replay(base, ops) {
    const { confirmed, revision, pending } = get();
    const wanted = [...ops, ...pending];
    remember((l) => l.keepBase(revision, base));
    const unsent = ops.filter((op) => !already.includes(op.id)).length;
    set({ confirmed: base, pending: wanted, restored: get().restored + unsent });
    show(applyAll(base, wanted));
    rebase({ document: toListed(confirmed), revision, applied: already });
  }

  return { edit, undo, redo, flush, saved, rebase, resolve, refused, opened, resend, unsafe };
}
