// What the builder makes of the server's messages: run by bun, which prints the failures as JSON.
globalThis.window = { sessionStorage: { getItem: () => null, setItem() {} } };
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

console.log(JSON.stringify(failures));
process.exit(0);
