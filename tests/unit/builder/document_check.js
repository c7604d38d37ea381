// Run by test_document_js.py under bun: the browser's document functions against the shared cases, and each other.
import {
  applyAll, apply, conflicts, diff, downstream, invert, newNodeId, same, toKeyed, toListed, upstream,
} from "../../../app/builder/js/document.js";
import cases from "./cases.json";

const failures = [];
const check = (says, given, wanted) => {
  if (!same(given, wanted)) failures.push({ says, given: given ?? null, wanted: wanted ?? null });
};
// A node that says nothing of parameters has none: the browser writes that out when it reads a document.
const ordered = (document) => {
  const nodes = document.nodes.map((node) => ({ params: {}, ...node }));
  return { ...document, nodes: nodes.map((node) => node.id), full: { ...document, nodes } };
};

for (const { says, document, ops, result } of cases) {
  const before = toKeyed(document);
  const frozen = JSON.stringify(before);
  const after = toListed(applyAll(before, ops));
  check(says, ordered(after), ordered({ nodes: [], edges: [], ...result }));
  check(`${says}: the document given is left as it was`, JSON.parse(frozen), before);
  const sets = ops.flatMap((op) => op.set);
  const back = apply(applyAll(before, ops), { set: invert(before, sets) });
  check(`${says}: taken back`, back, before);
}

const base = toKeyed({
  name: "n", inputs: { properties: { email: { type: "string" } } },
  nodes: [{ id: "a", position: { x: 0, y: 0 }, params: { x: 1, y: 1 } }, { id: "b" }], edges: [{ source: "a", target: "b" }],
});
const after = (...set) => apply(base, { set });

check("deleting a node is taken back with its edges",
  apply(after([["edges", "a|next|b"], null], [["nodes", "b"], null]),
    { set: invert(base, [[["edges", "a|next|b"], null], [["nodes", "b"], null]]) }), base);
check("a difference names single parameters",
  diff(base, after([["nodes", "a", "params", "x"], 2])), [[["nodes", "a", "params", "x"], 1, 2]]);
check("and single inputs", diff(base, after([["inputs", "properties", "email", "type"], "integer"])),
  [[["inputs", "properties", "email"], { type: "string" }, { type: "integer" }]]);
check("and a node that went", diff(base, after([["nodes", "b"], null])).map(([path]) => path.join(".")),
  ["nodes.b", "edges.a|next|b"]);
check("different parameters of one node are no conflict",
  conflicts(base, after([["nodes", "a", "params", "x"], 2]), after([["nodes", "a", "params", "y"], 2])), []);
check("the same parameter is one",
  conflicts(base, after([["nodes", "a", "params", "x"], 2]), after([["nodes", "a", "params", "x"], 3])),
  [{ path: ["nodes", "a", "params", "x"], mine: 2, theirs: 3 }]);
check("unless both say the same",
  conflicts(base, after([["nodes", "a", "params", "x"], 2]), after([["nodes", "a", "params", "x"], 2])), []);
check("an edit of what the other deleted is one about the whole node",
  conflicts(base, after([["nodes", "a", "params", "x"], 2]), after([["nodes", "a"], null])).map((c) => c.path), [["nodes", "a"]]);
check("where a node stands is none",
  conflicts(base, after([["nodes", "a", "position"], { x: 1, y: 1 }]), after([["nodes", "a", "position"], { x: 2, y: 2 }])), []);

check("ids read as what the step does", newNodeId({}, "m365.user.create"), "create_user");
check("and are not given twice", newNodeId({ create_user: 1, create_user_2: 1 }, "m365.user.create"), "create_user_3");
check("ids begin with a letter", newNodeId({}, "x.9.7"), "step");
check("flow steps have short ids", newNodeId({}, "flow.condition"), "condition");
check("what is upstream", [...upstream(base, "b")], ["a"]);
check("what is downstream", [...downstream(base, "a")], ["b"]);

console.log(JSON.stringify(failures));
