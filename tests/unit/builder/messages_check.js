// What the builder makes of the server's messages: run by bun, which prints the failures as JSON.
globalThis.window = { sessionStorage: { getItem: () => null, setItem() {} } };
const { fieldOf, isEarly } = await import("../../../app/builder/js/derive.js");
const { createBuilder } = await import("../../../app/builder/js/builder_state.js");

const failures = [];
const check = (says, got, wanted) => {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) failures.push({ says, got, wanted });
};

const WORKFLOW = "w";
const found = (n, revision, ...codes) => ({ n, kind: "problems", workflow: WORKFLOW, revision, problems: codes.map((code) => ({ code })) });

{
  const builder = createBuilder(WORKFLOW);
  const shown = () => builder.store.get().problems.map((one) => one.code);
  builder.receive({ epoch: "e", messages: [found(1, 7)] });
  builder.receive({ epoch: "e", messages: [found(1, 7), found(2, 6, "missing_param")] });
  check("a check of an older drawing that took longer says nothing", shown(), []);
  builder.receive({ epoch: "e", messages: [found(3, 8, "cycle")] });
  check("one of a newer drawing does", shown(), ["cycle"]);
  builder.receive({ epoch: "e", messages: [found(4, 8)] });
  check("so does one more of the same drawing: a connection may have come meanwhile", shown(), []);
}

// A step whose name and image are required, as a check of the server finds them missing.
async function drawn() {
  const builder = createBuilder(WORKFLOW);
  const opened = {
    n: 1, kind: "opened", workflow: WORKFLOW, shown: { id: WORKFLOW }, catalogue: [], connections: [], variables: [], platforms: {},
    roles: {}, permissions: ["workflow.write"], me: "m", revision: 1, by: null, applied: [],
    document: { name: "n", nodes: [{ id: "vm", type: "t", params: { size: "small" } }], edges: [] },
  };
  builder.receive({ epoch: "e", messages: [opened] });
  await new Promise((resolve) => setTimeout(resolve, 20));
  let n = 1;
  const missing = (...names) => names.map((name) => ({ code: "missing_param", node: "vm", field: `params.${name}` }));
  return {
    type: (name, value) => builder.actions.setField("vm", ["params", name], value),
    checked: (revision, ...names) => builder.receive({ epoch: "e", messages: [{ n: ++n, kind: "problems", workflow: WORKFLOW, revision, problems: missing(...names) }] }),
    saved: (revision) => builder.receive({ epoch: "e", messages: [{ n: ++n, kind: "saved", workflow: WORKFLOW, ops: builder.store.get().pending.map((op) => op.id), revision }] }),
    said: () => builder.store.get().problems.filter((one) => !isEarly(builder.store.get(), one)).map(fieldOf),
  };
}

{
  const page = await drawn();
  page.checked(1, "name", "image");
  check("what is missing is said at its field", page.said(), ["name", "image"]);
  page.type("name", "ws-1");
  check("until the next check tells: words that come and go at every key would move the form", page.said(), ["name", "image"]);
  page.saved(2);
  page.checked(2, "image");
  check("what was mended is not said any more", page.said(), ["image"]);
}

{
  const page = await drawn();
  page.type("name", "ws-1");
  page.checked(1, "name", "image");
  check("a check that has not seen what the field holds by now does not speak of it", page.said(), ["image"]);
  page.type("name", "ws-10");
  page.saved(2);
  page.checked(1, "name", "image");
  check("nor does one more of that drawing, after a newer one was kept", page.said(), ["image"]);
  page.type("name", null);
  check("what it says is true again when the field is as it was", page.said(), ["name", "image"]);
}

console.log(JSON.stringify(failures));
process.exit(0);
