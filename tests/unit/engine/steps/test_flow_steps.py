"""What each flow step answers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from app.engine.core.events import UNKNOWN_PORT
from app.engine.core.expressions import ExpressionError
from app.engine.core.values import Scope, Unknown
from app.engine.steps.base import Ask, Decision, Failure, Fill, Poll, Sleep, View
from app.engine.steps.registry import flow_info, flow_step, flow_steps

SCOPE = Scope(inputs={"n": 3}, steps={"later": Unknown("steps.later.output")})


def decide(step, run="apply", **params):
    found = flow_step(step)
    return found.decide(found.Params(**params), View(node="x", mode=run, scope=SCOPE))


@pytest.mark.parametrize(
    ("expression", "port", "result"),
    [
        ("inputs.n > 2", "true", True),
        ("inputs.n > 3", "false", False),
        ("steps.later.output.x == 1", UNKNOWN_PORT, Unknown("steps.later.output.x == 1")),
    ],
)
def test_condition(expression, port, result):
    found = decide("flow.condition", expression=expression)
    assert found == Decision(port, {"result": result})
    assert found.unknown is (port == UNKNOWN_PORT)


def test_a_condition_that_is_no_truth_fails():
    with pytest.raises(ExpressionError):
        decide("flow.condition", expression="inputs.n")


CASES = ({"name": "few", "when": "inputs.n < 3"}, {"name": "some", "when": "inputs.n < 5"})
OPEN = {"name": "open", "when": "steps.later.output.x == 1"}


@pytest.mark.parametrize(
    ("cases", "port", "case"),
    [
        (CASES, "some", "some"),
        (CASES[:1], "default", "default"),
        ((*CASES, OPEN), "some", "some"),
        ((CASES[0], OPEN, CASES[1]), UNKNOWN_PORT, Unknown("steps.later.output.x == 1")),
    ],
)
def test_switch(cases, port, case):
    assert decide("flow.switch", cases=cases) == Decision(port, {"case": case})


def test_a_case_that_is_no_truth_fails():
    with pytest.raises(ExpressionError):
        decide("flow.switch", cases=[{"name": "n", "when": "inputs.n"}])


LOOK = {"mode": "condition", "read": "m365.user.get", "read_params": {"user": "a"}, "expression": "found.x"}
WAITED = {"timed_out": False, "found": None}


@pytest.mark.parametrize(("unit", "seconds"), [("seconds", 3), ("minutes", 180), ("hours", 10_800), ("days", 259_200)])
def test_waiting_for_a_while(unit, seconds):
    assert decide("flow.wait", amount=3, unit=unit) == Sleep(seconds=seconds, output=WAITED)
    assert decide("flow.wait", "plan", amount=3, unit=unit) == Decision(output=WAITED)


def test_waiting_until_a_moment():
    moment = datetime(2030, 1, 31, 9, tzinfo=timezone(timedelta(hours=1)))
    assert decide("flow.wait", mode="moment", moment="2030-01-31T09:00:00+01:00") == Sleep(until=moment, output=WAITED)
    assert decide("flow.wait", mode="moment", moment="2030-01-31T08:00:00Z") == Sleep(until=moment, output=WAITED)
    assert decide("flow.wait", "plan", mode="moment", moment="2030-01-31T08:00:00Z") == Decision(output=WAITED)


@pytest.mark.parametrize("mode", ["plan", "apply"])
@pytest.mark.parametrize("moment", ["soon", "2030-01-31", "2030-01-31T09:00:00", "", None])
def test_a_moment_without_a_time_zone_is_none(moment, mode):
    found = decide("flow.wait", mode, mode="moment", moment=moment)
    assert isinstance(found, Failure)
    assert found.code == "not_a_moment"


def test_waiting_until_something_is_so():
    found = decide("flow.wait", **LOOK, every_s=60, backoff="growing", deadline_hours=2)
    assert found == Poll("m365.user.get", {"user": "a"}, "found.x", 60, 7200, slows=True)
    planned = decide("flow.wait", "plan", **LOOK)
    assert planned.port == "next"
    assert planned.output["found"] == Unknown("steps.x.output.found")


def test_approval_asks():
    found = decide("flow.approval", title="Ok?", roles=("owner",), count=2, deadline_hours=1.5)
    assert found == Ask(title="Ok?", roles=("owner",), count=2, deadline_s=5400)
    assert decide("flow.approval", title="Ok?").roles == ("approver",)


def test_an_approval_of_named_people_can_be_met():
    found = decide("flow.approval", title="Ok?", people=("a@b.example", "c@d.example"), count=2, remind_hours=1)
    assert (found.people, found.silence, found.remind_s) == (("a@b.example", "c@d.example"), "deny", 3600)
    with pytest.raises(ValidationError, match="more approvals"):
        decide("flow.approval", title="Ok?", people=("a@b.example", "A@b.example "), count=2)


FIELDS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}


def test_a_form_asks():
    found = decide("flow.form", title="What?", fields=FIELDS, deadline_hours=2, remind_hours=1)
    assert found == Fill("What?", FIELDS, ("engineer",), deadline_s=7200, remind_s=3600)
    planned = decide("flow.form", "plan", title="What?", fields=FIELDS)
    assert planned == Decision(output={name: Unknown(f"steps.x.output.{name}") for name in ("a", "b")})


def test_what_a_form_takes_when_nobody_answers():
    found = decide("flow.form", title="What?", fields=FIELDS, on_deadline="default", default={"a": 3})
    assert found.default == {"a": 3, "b": None}
    wrong = decide("flow.form", title="What?", fields=FIELDS, on_deadline="default", default={"b": "x"})
    assert isinstance(wrong, Failure)
    assert (wrong.code, wrong.details["field"]) == ("bad_default", "default.a")


def test_a_plan_passes_an_approval():
    assert decide("flow.approval", "plan", title="Ok?").port == "approved"


def test_an_empty_approver_list_is_refused():
    with pytest.raises(ValidationError):
        decide("flow.approval", title="Ok?", roles=())


def test_transform():
    assert decide("flow.transform", values={"a": 1, "b": Unknown("x")}).output == {"a": 1, "b": Unknown("x")}


def test_fail():
    found = decide("flow.fail", message="No seats")
    assert isinstance(found, Failure)
    assert found.as_json()["message"] == "No seats"
    assert decide("flow.fail", "plan", message="No seats").port == "next"


def test_log_and_noop():
    assert decide("flow.log", message="m", level="warning").output == {"level": "warning", "message": "m"}
    assert decide("flow.noop") == Decision()


@pytest.mark.parametrize("step", flow_steps().values(), ids=list(flow_steps()))
def test_answers_leave_by_a_port_of_the_step(step):
    cases = [{"name": "only", "when": "true"}]
    examples = {
        "title": "t",
        "message": "m",
        "expression": "true",
        "values": {"a": 1},
        "cases": cases,
        "fields": FIELDS,
    }
    examples |= {"items": [1, 2], "until": "true", "workflow": "Other"}
    params = {name: examples[name] for name, field in step.Params.model_fields.items() if field.is_required()}
    for mode in ("plan", "apply"):
        answer = step.decide(step.Params(**params), View(node="x", mode=mode, scope=SCOPE))
        if isinstance(answer, Decision):
            assert answer.port in flow_info(step).ports_with(params)
        elif isinstance(answer, Ask):
            assert {answer.approved_port, answer.denied_port, answer.timeout_port} <= set(step.ports)
