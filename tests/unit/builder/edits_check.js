// Edits as they are sent, answered, refused and taken up again: run by bun, which prints the failures as JSON.
import { createEdits } from "../../../app/builder/js/edits.js";
import { createStore } from "../../../app/builder/js/store.js";

const failures = [];
const check = (says, got, wanted) => {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) failures.push({ says, got, wanted });
};
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

const node = (id, message) => ({ id, type: "flow.log", params: { message } });
const document = (...nodes) => ({ name: "n", nodes, edges: [] });
const START = {
  canWrite: true, doc: null, confirmed: null, revision: 0, pending: [], sending: null, late: false, undo: [], redo: [],
  conflict: null, merged: null, refusal: null, restored: 0,
};

// The browser's notes as log.js keeps them: this tab's own, and one heap for each tab that is gone.
function notes(left = []) {
  const own = { ops: new Map(), base: null };
  return {
    own,
    lasting: true,
    put: async (op) => { await turn(); own.ops.set(op.id, op); },
    drop: async (ids) => ids.forEach((id) => own.ops.delete(id)),
    keepBase: async (revision, base) => { own.base = base; },
    dropBase: async () => { own.base = null; },
    adopt: async () => {
      const heap = left.shift() ?? null;
      heap?.ops.forEach((op) => own.ops.set(op.id, op));
      return heap;
    },
  };
}

async function page({ log = notes(), nodes = [node("a", "x"), node("b", "y")], applied = [] } = {}) {
  const store = createStore(START);
  const pushed = [];
  const edits = createEdits({
    store, push: (batch) => pushed.push(batch), onDocument() {}, onEdit() {}, open: async () => log,
  });
  await edits.opened({ document: document(...nodes), revision: 1, applied }, "scope");
  const say = (id, message) => edits.edit("field", [[["nodes", id, "params", "message"], message]]);
  const said = (id) => store.get().doc.nodes[id]?.params.message;
  return { store, edits, pushed, say, said, log, get: store.get };
}
const idsOf = (batch) => batch.ops.map((op) => op.id);

{
  const { say, pushed, edits, get, log } = await page();
  say("a", "1");
  await turn();
  edits.saved({ ops: idsOf(pushed[0]), revision: 2 });
  await turn();
  await turn();
  check("what was confirmed is not noted any more", [...log.own.ops.keys(), log.own.base], [null]);
  edits.resend();
  check("with nothing to send, the connection coming back is no news", get().late, false);
}
{
  const { say, said, pushed, edits, get } = await page();
  say("b", "first");
  say("a", "good");
  edits.edit("rename", [[["name"], "taken"]]);
  edits.saved({ ops: idsOf(pushed[0]), revision: 2 });
  check("what was done while the server was busy is sent together", pushed[1].ops.length, 2);
  edits.refused({ ops: idsOf(pushed[1]), code: "name_taken" });
  check("a refused batch is sent one by one", [pushed[2].ops.length, get().refusal], [1, null]);
  edits.saved({ ops: idsOf(pushed[2]), revision: 3 });
  edits.refused({ ops: idsOf(pushed[3]), code: "name_taken" });
  check("only what was wrong is given up", [said("a"), get().doc.name, get().pending.length], ["good", "n", 0]);
  check("and it is said", get().refusal.code, "name_taken");
}
{
  const { say, said, pushed, edits, get } = await page();
  say("a", "mine");
  await turn();
  edits.saved({ ops: idsOf(pushed[0]), revision: 3 });
  edits.rebase({ document: document(node("a", "old"), node("b", "y")), revision: 2, by: "Other" });
  check("an answer that was overtaken shows nothing old", [said("a"), get().revision, get().merged], ["mine", 3, null]);
}
{
  const { say, said, pushed, edits, get } = await page();
  say("a", "mine");
  await turn();
  const theirs = document(node("a", "mine"), node("b", "theirs"));
  edits.rebase({ document: theirs, revision: 2, by: "Other", applied: idsOf(pushed[0]) });
  const { by, changes } = get().merged;
  check("what others did is told, what I did is not", [by, changes.map(([path]) => path[1])], ["Other", ["b"]]);
  check("nothing is left to send", [get().pending.length, said("b")], [0, "theirs"]);
}
{
  const { say, edits, get, said } = await page();
  say("a", "mine");
  edits.rebase({ document: document(node("a", "theirs"), node("b", "y")), revision: 2, by: "Other" });
  check("the same thing changed twice is asked about", get().conflict.items.map((one) => one.mine), ["mine"]);
  check("and mine stays in sight", said("a"), "mine");
  edits.resolve(["theirs"]);
  check("the choice holds", [said("a"), get().pending.length], ["theirs", 0]);
}
{
  const base = { name: "n", nodes: { a: node("a", "x"), b: node("b", "y") }, edges: {} };
  const op = (id, step, message) => ({ id, label: "field", set: [[["nodes", step, "params", "message"], message]] });
  const left = [
    { document: base, ops: [op("1", "a", "from the first tab")] },
    { document: base, ops: [op("2", "b", "from the second tab")] },
  ];
  const { pushed, edits, said, get } = await page({ log: notes(left) });
  check("what a closed tab left is sent", pushed.map(idsOf), [["1"]]);
  edits.saved({ ops: ["1"], revision: 2 });
  await turn();
  check("then what another left", pushed.map(idsOf), [["1"], ["2"]]);
  edits.saved({ ops: ["2"], revision: 3 });
  await turn();
  check("both are there", [said("a"), said("b"), get().restored], ["from the first tab", "from the second tab", 2]);
}
{
  const base = { name: "n", nodes: { a: node("a", "x") }, edges: {} };
  const ops = [{ id: "1", label: "field", set: [[["nodes", "a", "params", "message"], "mine"]] }];
  const { pushed, said, get } = await page({ log: notes([{ document: base, ops }]), nodes: [node("a", "later")], applied: ["1"] });
  check("what the server had already is not done again", [pushed.length, said("a"), get().restored], [0, "later", 0]);
}
{
  const { say, edits } = await page({ log: { ...notes(), lasting: false } });
  say("a", "1");
  check("a page whose notes do not last is not left without a question", edits.unsafe(), true);
}

console.log(JSON.stringify(failures));
process.exit(0);
