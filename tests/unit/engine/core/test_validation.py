"""What bad workflows get: each fault names its node and field (or edge) and says why."""

from __future__ import annotations

import pytest

from app.core.errors import Invalid
from app.engine.core.document import SCHEMA, parse_document
from app.engine.core.events import StepSucceeded
from app.engine.core.graph import compile_graph
from app.engine.core.idle import as_stored
from app.engine.core.validation import validate
from app.engine.steps import registry
from tests.unit.engine.build import CATALOGUE, CONDITION, document, graph, states, walk

INPUTS = {
    "properties": {
        "email": {"type": "string"},
        "department": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "person": {"type": "object", "properties": {"name": {"type": "string"}}},
        "anything": {},
        "odd name": {"type": "string"},
    },
    "required": ["email", "count", "share", "tags", "person", "anything"],
}


def create(**params):
    return {"type": "m365.user.create", "connection": "m365", "params": {"user": "x", **params}}


def condition(expression):
    return {"type": "flow.condition", "params": {"expression": expression}}


def switch(*cases):
    return {"type": "flow.switch", "params": {"cases": [{"name": name, "when": when} for name, when in cases]}}


def found(edges, variables=None, **nodes):
    problems = validate(document(edges, INPUTS, **nodes), CATALOGUE, {"m365": "m365", "cloud": "aws"}, variables)
    return [(problem.code, problem.node, problem.field) for problem in problems]


GOOD = [
    ("a", {"a": create(user="{{ inputs.email }}")}),
    ("a", {"a": create(user="Hello {{ inputs.email }}, {{ inputs.count }}!")}),
    ("a", {"a": create(user="{{ inputs.department == null ? 'x' : inputs.department }}")}),
    ("a", {"a": create(seats="{{ inputs.count + 1 }}", share="{{ inputs.share * 2.0 }}", enabled="{{ true }}")}),
    ("a", {"a": create(share="{{ inputs.count }}")}),
    ("a", {"a": create(tags="{{ inputs.tags.map(t, t.upper()) }}")}),
    ("a", {"a": create(tags=["{{ inputs.email }}", "b"])}),
    ("a", {"a": create(note="{{ inputs.department }}", labels={"who": "{{ inputs.email }}"})}),
    ("a", {"a": create(user="{{ inputs.anything.whatever[0].x }}")}),
    ("a", {"a": create(user="{{ inputs.person.name.ascii().lower() }}")}),
    ("a", {"a": create(user="{{ client.domain + run.id }}")}),
    ("a", {"a": create(user="{{ inputs['email'] }}")}),
    ("a", {"a": create(user="{{ inputs['odd name'].upper() }}")}),
    ("a", {"a": create(user="{{ timestamp('2030-01-01T00:00:00Z') }}")}),
    ("a>b", {"a": create(), "b": create(user="{{ steps.a.output.id }}")}),
    ("a>b b>c", {"a": create(), "b": create(), "c": create(user="{{ steps.a.output.manager.manager.id }}")}),
    ("a>b", {"a": create(), "b": condition("steps.a.output.seats > 3 && has(steps.a.output.manager)")}),
    ("a>b", {"a": create(), "b": condition("steps.a.output != null && steps.a.output.groups.exists(g, g == 'x')")}),
    ("t>b", {"t": {"type": "flow.transform", "params": {"values": {"x": 1}}}, "b": condition("steps.t.output.x == 1")}),
    ("a", {"a": {**create(user="{{ nonsense }}"), "disabled": True}}),
    ("a", {"a": {"type": "flow.approval", "params": {"title": "Is {{ inputs.email }} right?"}}}),
]


@pytest.mark.parametrize(("edges", "nodes"), GOOD)
def test_nothing_is_wrong_with(edges, nodes):
    assert found(edges, **nodes) == []


def user(expression):
    """A step whose text parameter is this template."""
    return {"a": create(user="{{ " + expression + " }}")}


def after(expression):
    """Two steps, the second with this template."""
    return {"a": create(), "b": create(user="{{ " + expression + " }}")}


def loop(**settings):
    body = {"schema": "opsloom/workflow@1", "nodes": [{"id": "in", "type": "flow.noop"}], "edges": []}
    return {"type": "flow.for_each", "params": {"items": [1]}, "body": body, **settings}


def ask(remind_hours=None, **settings):
    return {"type": "flow.approval", "params": {"title": "Go on?", "remind_hours": remind_hours}, **settings}


DOUBLING = "{{ ['ab']" + ".map(x, x + x)" * 30 + " }}"
NESTED = "(" * 40 + "'x'" + ")" * 40
TRANSFORMED = {"t": {"type": "flow.transform", "params": {"values": {"x": 1}}}, "b": condition("steps.t.output.y == 1")}
TYPE = "wrong_expression_type"
BAD = [
    ("an unknown type", "a", {"a": {"type": "m365.user.crate"}}, "unknown_type a type"),
    ("a missing parameter", "a", {"a": {**create(), "params": {}}}, "missing_param a params.user"),
    ("a cleared parameter", "a", {"a": create(user=" ")}, "missing_param a params.user"),
    ("a parameter that is null", "a", {"a": create(user=None)}, "missing_param a params.user"),
    ("a missing condition", "a", {"a": {"type": "flow.condition"}}, "missing_param a params.expression"),
    ("an unknown parameter", "a", {"a": create(usr="x")}, "unknown_param a params.usr"),
    ("a static value of the wrong type", "a", {"a": create(seats="three")}, "wrong_type a params.seats"),
    ("a static value out of range", "a", {"a": create(seats=0)}, "too_small a params.seats"),
    ("no such choice", "a", {"a": create(plan="E9")}, "not_a_choice a params.plan"),
    ("an item of the wrong type", "a", {"a": create(tags=["a", 1])}, "wrong_type a params.tags.1"),
    ("an item beside a template", "a", {"a": create(tags=["{{ 'a' }}", 1])}, "wrong_type a params.tags.1"),
    ("too many items", "a", {"a": create(tags=["{{ 'a' }}"] * 4)}, "wrong_length a params.tags"),
    ("a text for a number", "a", {"a": create(seats="{{ inputs.email }}")}, f"{TYPE} a params.seats"),
    ("a number for a text", "a", user("inputs.count"), f"{TYPE} a params.user"),
    ("a text for a list", "a", {"a": create(tags="{{ inputs.email }}")}, f"{TYPE} a params.tags"),
    ("a list of the wrong items", "a", {"a": create(tags="{{ [1, 2] }}")}, f"{TYPE} a params.tags"),
    ("a text around a number", "a", {"a": create(seats="{{ inputs.count }} seats")}, "wrong_type a params.seats"),
    ("deep in an object", "a", {"a": create(labels={"x": "{{ inputs.count }}"})}, f"{TYPE} a params.labels.x"),
    ("a condition that is no truth", "a", {"a": condition("inputs.email")}, f"{TYPE} a params.expression"),
    ("a condition that is no text", "a", {"a": condition(3)}, "wrong_type a params.expression"),
    ("a broken expression", "a", user("inputs.email +"), "broken_expression a params.user"),
    ("mixed types", "a", user("inputs.email + 1"), "broken_expression a params.user"),
    ("an unknown function", "a", user("inputs.email.shout()"), "broken_expression a params.user"),
    ("an unclosed template", "a", {"a": create(user="{{ inputs.email")}, "unclosed_template a params.user"),
    ("an empty expression", "a", {"a": create(user="{{ }}")}, "empty_expression a params.user"),
    ("an unknown root", "a", user("input.email"), "unknown_name a params.user"),
    ("secrets are no root", "a", user("secrets.password"), "unknown_name a params.user"),
    ("an unknown input", "a", user("inputs.mail"), "unknown_field a params.user"),
    ("an unknown input by its name", "a", user("inputs['mail'].upper()"), "unknown_field a params.user"),
    ("an unknown field of an input", "a", user("inputs.person.age"), "unknown_field a params.user"),
    ("an item outside a loop", "a", user("item.x"), "no_item a params.user"),
    ("no such step", "a", user("steps.b.output.id"), "unknown_step a params.user"),
    ("a step's own output", "a", user("steps.a.output.id"), "not_upstream a params.user"),
    ("a later step", "a>b", {**user("steps.b.output.id"), "b": create()}, "not_upstream a params.user"),
    ("a step beside", "r>a r>b", {**user("steps.b.output.id"), "b": create()}, "not_upstream a params.user"),
    ("no such output", "a>b", after("steps.a.output.name"), "unknown_field b params.user"),
    ("no such transformed value", "t>b", TRANSFORMED, "unknown_field b params.expression"),
    ("a step without its output", "a>b", after("steps.a.id"), "bad_step_reference b params.user"),
    ("a computed step", "a>b", after("steps[inputs.email].output.id"), "bad_step_reference b params.user"),
    ("an expression that is too long", "a", user("'" + "x" * 5000 + "'"), "expression_too_long a params.user"),
    ("too many expressions", "a", {"a": create(user="{{ 1 }}x" * 300)}, "too_many_templates a params.user"),
    ("one that would take all memory", "a", {"a": create(tags=DOUBLING)}, "expression_too_costly a params.tags"),
    ("one that is nested too deeply", "a", user(NESTED), "broken_expression a params.user"),
    ("no connection", "a", {"a": {**create(), "connection": None}}, "missing_connection a connection"),
    ("an unknown connection", "a", {"a": {**create(), "connection": "m366"}}, "unknown_connection a connection"),
    ("another platform's one", "a", {"a": {**create(), "connection": "cloud"}}, "wrong_connection a connection"),
    ("a bad port", "if.next>a", {"if": CONDITION}, "bad_port if port"),
    ("an error port that nothing uses", "a.error>b", {}, "error_port_unused a on_error"),
    ("an error branch to nowhere", "a>b", {"a": {"on_error": "branch"}}, "no_error_branch a on_error"),
    (
        "a guess after an error",
        "if.true>a",
        {"if": {**CONDITION, "on_error": "continue"}},
        "cannot_continue if on_error",
    ),
    ("a loop that is tried again", "a>l", {"l": loop(retry={"attempts": 3})}, "retry_without_effect l retry"),
    ("a loop with a time limit", "a>l", {"l": loop(timeout_s=60)}, "timeout_without_effect l timeout_s"),
    ("a question that is tried again", "a>q", {"q": ask(retry={"attempts": 2})}, "retry_without_effect q retry"),
    ("a question with a time limit", "a>q", {"q": ask(timeout_s=60)}, "timeout_without_effect q timeout_s"),
    ("a reminder of no deadline", "a>q", {"q": ask(remind_hours=2)}, "remind_without_deadline q params.remind_hours"),
    ("a join of more than there are", "a>b", {"b": {"join": 3}}, "bad_join b join"),
    ("a step that nothing leads to", "a>b", {"lost": {}}, "unreachable lost edges"),
]


@pytest.mark.parametrize(("edges", "nodes", "problem"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_is_refused(edges, nodes, problem):
    assert [" ".join(told) for told in found(edges, **nodes)] == [problem]


def test_what_takes_effect_passes():
    policy = {"retry": {"attempts": 3}, "timeout_s": 60}
    once = {"retry": {"attempts": 1}}
    assert found("a>w w>l", a=policy, w={"type": "flow.wait", "params": {"amount": 1}, **policy}, l=loop(**once)) == []
    deadline = {"title": "Go on?", "deadline_hours": 8, "remind_hours": 2}
    assert found("a>q", a={}, q={"type": "flow.approval", "params": deadline}) == []


def test_what_is_stored_already_is_only_told():
    drawn = document("a>l", a={}, l=loop(timeout_s=60))
    (problem,) = as_stored(validate(drawn, CATALOGUE))
    assert (problem.code, problem.severity) == ("timeout_without_effect", "warning")
    inner = document("a>l", a={}, l=loop(timeout_s=60)).as_json()
    outer = document("s", s={"type": "flow.workflow", "params": {"workflow": "x"}, "body": inner})
    (problem,) = validate(outer, CATALOGUE)
    assert (problem.node, problem.code, problem.severity) == ("s.l", "timeout_without_effect", "warning")


def messages(edges, **nodes):
    problems = validate(document(edges, INPUTS, **nodes), CATALOGUE)
    return [problem.message for problem in problems]


def test_the_reason_is_said():
    assert messages("a>b", a=create(user="{{ steps.b.output.id }}"), b=create()) == [
        "b cannot be used here: b is not before this step."
    ]
    assert messages("a", a=create(user="{{ steps.b.output.id }}")) == ["There is no step b."]
    assert messages("a", a=create(seats="{{ inputs.count + inputs.share }}")) == [
        "+ cannot be applied to a whole number and a number. Convert with double(…) or int(…)."
    ]
    assert messages("a", a=create(user="{{ inputs.email + }}")) == ["The expression ends too early."]
    assert messages("a", a=create(seats="{{ inputs.tags }}")) == [
        "This takes a whole number, but the expression gives a list (a text each)."
    ]


def test_line_and_column_are_told():
    (problem,) = validate(document("a", INPUTS, a=create(user="{{ inputs.email\n + 1 }}")), CATALOGUE)
    assert (problem.params["line"], problem.params["column"]) == (2, 2)


def test_client_variables():
    node = create(user="{{ client.domain }}")
    assert found("a", {"domain": "x.fr"}, a=node) == []
    assert found("a", {"other": "x.fr"}, a=node) == [("unknown_field", "a", "params.user")]
    assert found("a", {"domain": 3}, a=node) == [("wrong_expression_type", "a", "params.user")]
    assert found("a", {}, a=node) == [("unknown_field", "a", "params.user")]


@pytest.mark.parametrize("edges", ["a>b b>a", "a>b b>c c>b", "a>a"])
def test_a_cycle_is_named(edges):
    problems = [p for p in validate(document(edges), CATALOGUE) if p.code == "cycle"]
    assert len(problems) == 1
    assert problems[0].node in problems[0].params["nodes"]
    assert problems[0].field == "edges"
    assert "wait for each other" in problems[0].message


def test_every_cycle_is_named_and_parameters_are_still_checked():
    drawn = document("a>b b>a b>c c>d d>c", a={**create(), "params": {}})
    assert [p.code for p in validate(drawn, CATALOGUE)].count("cycle") == 2
    assert "missing_param" in {p.code for p in validate(drawn, CATALOGUE)}


def test_an_edge_to_nowhere_is_named():
    raw = document("a>b").as_json()
    raw["edges"].append({"source": "a", "target": "ghost"})
    (problem,) = validate(parse_document(raw), CATALOGUE)
    assert (problem.code, problem.edge, problem.field) == ("unknown_node", "a->ghost", "target")


def test_duplicates_are_named():
    raw = document("a>b").as_json()
    raw["nodes"].append({"id": "a", "type": "test.read"})
    raw["edges"].append({"source": "a", "target": "b"})
    codes = {(p.code, p.node) for p in validate(parse_document(raw), CATALOGUE)}
    assert codes == {("duplicate_node", "a"), ("duplicate_edge", "a")}


def test_an_empty_workflow():
    assert [p.code for p in validate(parse_document({"schema": SCHEMA}), CATALOGUE)] == ["empty_workflow"]


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"type": "string"}, "inputs.type"),
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, "inputs.properties.a.type"),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}, "inputs.properties.a.pattern"),
    ],
)
def test_bad_input_schemas(inputs, field):
    raw = {**document("a").as_json(), "inputs": inputs}
    assert [(p.code, p.field) for p in validate(parse_document(raw), CATALOGUE)] == [("bad_inputs", field)]


def test_all_faults_are_told_at_once():
    nodes = {"a": create(user="", seats=0, zz=1), "b": {"type": "nope"}, "c": condition("1")}
    assert {code for code, _, _ in found("a>b b>c", **nodes)} == {
        "missing_param",
        "too_small",
        "unknown_param",
        "unknown_type",
        "wrong_expression_type",
    }


def test_compiling_refuses_what_cannot_run():
    with pytest.raises(Invalid) as caught:
        compile_graph(document("a>b b>a"), CATALOGUE)
    assert caught.value.problems[0].code == "cycle"


def test_ten_thousand_steps_are_checked_in_time():
    count = 10_000
    nodes = [
        {"id": f"n{i}", **create(user="{{ inputs.email }}" if i % 2 else "{{ steps.n0.output.id }}")}
        for i in range(1, count)
    ]
    edges = [{"source": f"n{i}", "target": f"n{i + 1}"} for i in range(count - 1)]
    raw = {
        "schema": SCHEMA,
        "inputs": {"type": "object", **INPUTS},
        "nodes": [{"id": "n0", **create()}, *nodes],
        "edges": edges,
    }
    drawn = parse_document(raw)
    assert validate(drawn, CATALOGUE) == []
    compile_graph(drawn, CATALOGUE)


SWITCH = switch(("few", "inputs.count < 3"), ("many", "inputs.count > 30"))


def test_a_switch_has_the_ways_out_that_its_cases_name():
    assert found("s.few>a s.many>b s.default>c", s=SWITCH) == []
    assert found("s.some>a", s=SWITCH) == [("bad_port", "s", "port")]
    assert found("s.few>a s.error>b", s=SWITCH) == [("error_port_unused", "s", "on_error")]


@pytest.mark.parametrize(
    ("cases", "code", "field"),
    [
        ([("few", "inputs.count < 3"), ("few", "true")], "duplicate_port", "params.cases.1.name"),
        ([("default", "true")], "duplicate_port", "params.cases.0.name"),
        ([("error", "true")], "duplicate_port", "params.cases.0.name"),
        ([("Not A Name", "true")], "bad_port_name", "params.cases.0.name"),
        ([("{{ inputs.email }}", "true")], "bad_port_name", "params.cases.0.name"),
        ([("few", "inputs.cuont < 3")], "unknown_field", "params.cases.0.when"),
        ([("few", "inputs.count")], "wrong_expression_type", "params.cases.0.when"),
        ([("few", "inputs.count <")], "broken_expression", "params.cases.0.when"),
        ([], "too_few", "params.cases"),
    ],
)
def test_what_is_wrong_with_a_case_is_shown_on_it(cases, code, field):
    assert (code, "s", field) in found("s", s=switch(*cases))


@pytest.mark.parametrize("cases", [None, "few", [1], [{"name": 3}], [{"when": "true"}], {"few": "true"}])
def test_cases_that_are_no_cases_are_said_to_be_wrong(cases):
    assert found("s", s={"type": "flow.switch", "params": {"cases": cases}})


def test_a_switch_goes_on_by_the_case_that_was_taken():
    made = graph("s.few>a s.many>b s.default>c", s=SWITCH)
    state, _ = walk(
        made, lambda command, _: [StepSucceeded(command.node, port="many" if command.node == "s" else "next")]
    )
    assert states(state) == "s:succeeded a:skipped b:succeeded c:skipped"


LOOK = {"mode": "condition", "read": "m365.user.get", "read_params": {"user": "{{ inputs.email }}"}}


def wait_problems(params, connection="m365"):
    node = {"type": "flow.wait", "params": params, "connection": connection}
    problems = validate(document("w", INPUTS, w=node), registry.catalogue(), {"m365": "m365", "cloud": "aws"})
    return [(problem.code, problem.field) for problem in problems]


@pytest.mark.parametrize(
    "params",
    [
        {"amount": 5},
        {"mode": "duration", "amount": "{{ inputs.count }}", "unit": "days"},
        {"mode": "moment", "moment": "{{ inputs.email }}T09:00:00Z"},
        {**LOOK, "expression": "found.account_enabled == false"},
        {**LOOK, "expression": "found.groups.exists(g, g == inputs.email)", "every_s": 5},
        # What another way of waiting would need is left alone.
        {"amount": 5, "moment": "{{ nonsense", "expression": "nor this", "read_params": {"x": 1}},
    ],
)
def test_a_wait_that_is_right(params):
    assert wait_problems(params) == []


@pytest.mark.parametrize(
    ("params", "code", "field"),
    [
        ({}, "missing_param", "params.amount"),
        ({"mode": "moment"}, "missing_param", "params.moment"),
        ({"mode": "condition"}, "missing_param", "params.read"),
        ({"mode": "condition"}, "missing_param", "params.expression"),
        ({**LOOK, "expression": "found.enabled"}, "unknown_field", "params.expression"),
        ({**LOOK, "expression": "1 + 1"}, "wrong_expression_type", "params.expression"),
        ({**LOOK, "expression": "true", "read": "m365.user.disable"}, "not_a_read", "params.read"),
        ({**LOOK, "expression": "true", "read": "m365.nothing.get"}, "not_a_read", "params.read"),
        ({**LOOK, "expression": "true", "read_params": {}}, "missing_param", "params.read_params.user"),
        ({**LOOK, "expression": "true", "read_params": {"usr": "x"}}, "unknown_param", "params.read_params.usr"),
        ({**LOOK, "expression": "true", "every_s": 1}, "too_small", "params.every_s"),
    ],
)
def test_what_is_wrong_with_a_wait(params, code, field):
    assert (code, field) in wait_problems(params)


def test_a_wait_that_looks_needs_a_connection_to_where_it_looks():
    looking = {**LOOK, "expression": "true"}
    assert wait_problems(looking, None) == [("missing_connection", "connection")]
    assert wait_problems(looking, "cloud") == [("wrong_connection", "connection")]
    assert wait_problems({"amount": 5}, None) == []


def test_what_was_found_is_known_to_the_wait_alone():
    assert found("a", a=condition("found.x")) == [("nothing_found", "a", "params.expression")]


def form(properties, **params):
    fields = {"type": "object", "properties": properties, "required": [*properties][:1]}
    return {"type": "flow.form", "params": {"title": "What?", "fields": fields, **params}}


def test_what_a_form_is_asked_for_is_known_to_later_steps():
    asks = form({"seats": {"type": "integer"}, "note": {"type": "string"}})
    assert found("f>c", f=asks, c=condition("steps.f.output.seats > 2")) == []
    assert found("f>c", f=asks, c=condition("steps.f.output.seat > 2")) == [("unknown_field", "c", "params.expression")]
    assert found("f>c", f=asks, c=condition("steps.f.output.seats")) == [
        ("wrong_expression_type", "c", "params.expression")
    ]


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("x", {"type": "string", "format": "password"}),
        ("x", {"type": "string", "writeOnly": True}),
        ("x", {"type": "string", "x-widget": "secret"}),
        ("x", {"type": "string", "title": "Mot de passe"}),
        ("admin_password", {"type": "string"}),
        ("apiKey", {"type": "string"}),
        ("client-secret", {"type": "string"}),
        ("x", {"type": "object", "properties": {"token": {"type": "string"}}}),
        ("x", {"type": "array", "items": {"type": "object", "properties": {"pin": {"type": "integer"}}}}),
    ],
)
def test_a_form_asks_for_no_secret(name, spec):
    assert ("form_secret", "f", "params.fields") in found("f", f=form({name: spec}))


@pytest.mark.parametrize("name", ["secretary", "shipping", "opinion", "tokens_left_over_from_what", "keyboard"])
def test_words_that_only_look_like_a_secret_pass(name):
    assert found("f", f=form({name: {"type": "string"}})) == []


@pytest.mark.parametrize(
    ("node", "code", "field"),
    [
        (form({}), "form_without_fields", "params.fields"),
        (form({"a": {"type": "texte"}}), "bad_form", "params.fields"),
        (form({f"f{n}": {} for n in range(101)}), "form_too_long", "params.fields"),
        (form({"a": {"type": "integer"}}, on_deadline="default", default={"a": "x"}), "wrong_type", "params.default.a"),
        (form({"a": {}}, on_deadline="default", default={}), "missing_field", "params.default.a"),
    ],
)
def test_what_is_wrong_with_a_form(node, code, field):
    assert (code, "f", field) in found("f", f=node)


def test_a_variable_that_a_step_sets_is_known_to_expressions():
    sets = {"type": "flow.set_variable", "params": {"name": "office", "value": "{{ inputs.email }}"}}
    reads = create(user="{{ client.office }}")
    problems = validate(
        document(
            "s>a", INPUTS, s=sets, a={**reads, "type": "m365.user.disable", "params": {"user": "{{ client.office }}"}}
        ),
        registry.catalogue(),
        {"m365": "m365"},
        {"domain": "x"},
    )
    assert problems == []
    assert found("a", {"domain": "x"}, a=reads) == [("unknown_field", "a", "params.user")]
