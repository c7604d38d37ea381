"""Runs on real workers: order, branches, joins, failure, cancel."""

from __future__ import annotations

import pytest

from app.core.errors import Invalid, Missing, Stale
from app.services import runs
from tests.engine.kit import NO_POLICY, Relay, Worker, chain, make_tenant, wait_for, waiting


def noops(count: int) -> list[dict[str, object]]:
    return [{"id": f"n{number}", "type": "flow.noop"} for number in range(count)]


async def test_a_chain_runs_in_order(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("chain", *noops(30)))
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    assert run.state == "succeeded"
    assert [step.state for step in run.steps] == ["succeeded"] * 30
    times = [step.finished_at for step in run.steps]
    assert times == sorted(times)


async def test_a_line_in_the_log_stays_with_the_run(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    schema = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    line = {"id": "line", "type": "flow.log", "params": {"message": "Hello, {{ inputs.who }}", "level": "warning"}}
    flow = await tenant.publish(chain("log", line, inputs=schema))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"who": "Zoé"})
    (step,) = (await wait_for(tenant.engineer, run_id)).steps
    assert step.output == {"level": "warning", "message": "Hello, Zoé"}


async def test_two_of_three_are_enough_and_the_third_still_ends(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    ask = {"id": "slow", "type": "flow.approval", "params": {"title": "Go on?", "roles": ["approver"]}}
    drawn = [*noops(2), ask, {"id": "join", "type": "flow.noop", "join": 2}]
    edges = [{"source": node["id"], "target": "join"} for node in drawn[:2]]
    edges.append({"source": "slow", "target": "join", "port": "approved"})
    flow = await tenant.publish({**chain("two of three"), "nodes": drawn, "edges": edges})
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    run = await waiting(tenant.engineer, run_id)
    while {step.node: step.state for step in run.steps}["join"] != "succeeded":
        run = await waiting(tenant.engineer, run_id)
    assert run.state == "waiting", "the third branch is not given up"
    await runs.cancel(tenant.engineer, run_id)
    assert (await wait_for(tenant.engineer, run_id)).state == "cancelled"


async def test_a_fan_out_joins(runner: Worker, relay: Relay) -> None:
    tenant = await make_tenant(NO_POLICY)
    middle = [f"m{number}" for number in range(20)]
    document = {
        "schema": "opsloom/workflow@1",
        "name": "fan",
        "nodes": [{"id": name, "type": "flow.noop"} for name in ("first", *middle, "last")],
        "edges": [{"source": "first", "target": name} for name in middle]
        + [{"source": name, "target": "last"} for name in middle],
    }
    flow = await tenant.publish(document)
    relay.start()
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.name, mode="apply"))
    assert run.state == "succeeded"
    assert {step.state for step in run.steps} == {"succeeded"}
    last = next(step for step in run.steps if step.node == "last")
    assert all(step.finished_at <= last.started_at for step in run.steps if step.node in middle)


async def test_a_condition_takes_one_way_and_skips_the_other(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    schema = {"type": "object", "properties": {"department": {"type": "string"}}, "required": ["department"]}
    document = {
        "schema": "opsloom/workflow@1",
        "name": "condition",
        "inputs": schema,
        "nodes": [
            {"id": "ask", "type": "flow.condition", "params": {"expression": "inputs.department == 'Ingénierie'"}},
            {"id": "yes", "type": "flow.noop"},
            {"id": "no", "type": "flow.noop"},
        ],
        "edges": [
            {"source": "ask", "target": "yes", "port": "true"},
            {"source": "ask", "target": "no", "port": "false"},
        ],
    }
    flow = await tenant.publish(document)
    inputs = {"department": "Ingénierie"}
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs=inputs)
    run = await wait_for(tenant.engineer, run_id)
    assert {step.node: step.state for step in run.steps} == {"ask": "succeeded", "yes": "succeeded", "no": "skipped"}


async def test_a_failing_step_stops_the_run_and_says_why(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    broken = {"id": "broken", "type": "flow.transform", "params": {"values": {"x": "{{ int(inputs.word) }}"}}}
    schema = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
    flow = await tenant.publish(chain("failing", broken, {"id": "after", "type": "flow.noop"}, inputs=schema))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"word": "seven"})
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "failed"
    assert run.reason is not None
    assert run.reason["node"] == "broken"


async def test_a_cancelled_run_never_ends_as_succeeded(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    approval = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    flow = await tenant.publish(
        chain("asking", {"id": "a", "type": "flow.noop"}, approval, {"id": "b", "type": "flow.noop"})
    )
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await waiting(tenant.engineer, run_id)
    await runs.cancel(tenant.engineer, run_id)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "cancelled"
    assert {step.node: step.state for step in run.steps} == {"a": "succeeded", "ask": "cancelled", "b": "cancelled"}
    with pytest.raises(Stale):
        await runs.cancel(tenant.engineer, run_id)


async def test_one_idempotency_key_is_one_run(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("once", *noops(2)))
    first = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", idempotency_key="k1")
    assert await runs.start(tenant.engineer, workflow=flow.id, mode="apply", idempotency_key="k1") == first


async def test_wrong_inputs_are_named_and_start_nothing(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    schema = {
        "type": "object",
        "properties": {"email": {"type": "string", "format": "email"}, "days": {"type": "integer"}},
        "required": ["email"],
    }
    flow = await tenant.publish(chain("inputs", *noops(1), inputs=schema))
    with pytest.raises(Invalid) as caught:
        await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"days": "three", "other": 1})
    assert {problem.field for problem in caught.value.problems} == {"email", "days", "other"}
    assert await runs.list_runs(tenant.engineer) == []


async def test_another_clients_run_is_not_there(runner: Worker) -> None:
    one, two = await make_tenant(NO_POLICY), await make_tenant(NO_POLICY)
    flow = await one.publish(chain("mine", *noops(1)))
    run_id = await runs.start(one.engineer, workflow=flow.id, mode="plan")
    with pytest.raises(Missing):
        await runs.get(two.owner, run_id)
