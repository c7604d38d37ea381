"""Steps that set a variable of the client: planned, sealed, seen by later steps, recorded, undone."""

from __future__ import annotations

from typing import Any

from app.services import approvals, audit, clients, runs, workflows
from app.services.run_views import RunView
from connectors.testing import Sandbox
from tests.engine.kit import (
    NO_POLICY,
    Relay,
    Tenant,
    Worker,
    chain,
    make_tenant,
    wait_for,
    wait_for_question,
    wait_for_steps,
    waiting,
)

Json = dict[str, Any]
LIAM = "liam.o'connor@sandbox.example"
ONE = {"rules": [{"risk": "medium", "roles": ["approver"], "count": 1}]}


def set_to(value: Any, name: str = "office", node: str = "set", **more: Any) -> Json:
    return {"id": node, "type": "flow.set_variable", "params": {"name": name, "value": value}, **more}


def gives(expression: str, node: str = "gives") -> Json:
    return {"id": node, "type": "flow.transform", "params": {"values": {"seen": f"{{{{ {expression} }}}}"}}}


async def tenant_with(variables: Json, policy: Json = NO_POLICY) -> Tenant:
    tenant = await make_tenant(policy)
    await clients.update(tenant.owner, variables=variables)
    return tenant


async def variables_of(tenant: Tenant) -> Json:
    return (await clients.get(tenant.owner)).variables


async def done(tenant: Tenant, document: Json, mode: str = "apply") -> RunView:
    flow = await tenant.publish(document)
    return await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode=mode))


def change(run: RunView, node: str = "set") -> Json:
    return next(step.change for step in run.steps if step.node == node)


def seen(run: RunView, node: str = "gives") -> Any:
    return next(step.output["seen"] for step in run.steps if step.node == node)


async def test_it_is_set_and_later_steps_see_it(runner: Worker) -> None:
    tenant = await tenant_with({"office": "Bonn", "kept": 1})
    run = await done(tenant, chain("Set", gives("client.office", "first"), set_to("Lyon"), gives("client.office")))
    assert run.state == "succeeded", run.reason
    assert (seen(run, "first"), seen(run)) == ("Bonn", "Lyon")
    made = change(run)
    assert (made["kind"], made["target"]) == ("update", "client.variable:office")
    assert (made["before"], made["after"]) == ({"value": "Bonn"}, {"value": "Lyon"})
    assert await variables_of(tenant) == {"office": "Lyon", "kept": 1}
    events = (await audit.list_events(tenant.owner)).events
    assert [event.target for event in events if event.action == "client_variable_set"] == ["client.variable:office"]


async def test_a_plan_shows_it_and_sets_nothing(runner: Worker) -> None:
    tenant = await tenant_with({"office": "Bonn"})
    document = chain(
        "Plan", set_to("Lyon"), set_to("{{ client.office + '!' }}", node="again"), set_to(3, "new", "third")
    )
    run = await done(tenant, document, mode="plan")
    changes = {one["node"]: one["change"] for one in run.plan}
    assert (changes["set"]["before"], changes["set"]["after"]) == ({"value": "Bonn"}, {"value": "Lyon"})
    assert (changes["again"]["before"], changes["again"]["after"]) == ({"value": "Lyon"}, {"value": "Lyon!"})
    assert (changes["third"]["kind"], changes["third"]["before"]) == ("create", None)
    assert await variables_of(tenant) == {"office": "Bonn"}


async def test_a_variable_that_is_so_already_is_no_change(runner: Worker) -> None:
    tenant = await tenant_with({"office": "Bonn"})
    assert change(await done(tenant, chain("None", set_to("Bonn"))))["kind"] == "none"


async def test_the_undo_gives_back_what_was_there(runner: Worker) -> None:
    tenant = await tenant_with({"office": "Bonn", "kept": 1})
    run = await done(tenant, chain("Undo", set_to("Lyon"), set_to(["a", "b"], "new", "made")))
    assert await variables_of(tenant) == {"office": "Lyon", "kept": 1, "new": ["a", "b"]}
    undone = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run.id))
    assert undone.state == "succeeded", undone.reason
    assert await variables_of(tenant) == {"office": "Bonn", "kept": 1}
    assert [change(undone, node)["kind"] for node in ("made", "set")] == ["delete", "update"]


async def test_an_undo_asks_where_somebody_has_changed_it_since(runner: Worker) -> None:
    tenant = await tenant_with({"office": "Bonn"})
    run = await done(tenant, chain("Drift", set_to("Lyon")))
    await clients.update(tenant.owner, variables={"office": "Kyiv"})
    undo = await waiting(tenant.engineer, await runs.undo(tenant.engineer, run.id))
    (asked,) = undo.approvals
    assert asked.why == "drift"
    assert await variables_of(tenant) == {"office": "Kyiv"}


async def test_what_is_agreed_is_what_is_set(runner: Worker) -> None:
    """The seal holds the variables as they were: neither the run's own change of one nor a second plan voids it."""
    tenant = await tenant_with({"office": "Bonn"}, ONE)
    flow = await tenant.publish(chain("Sealed", set_to("Lyon"), set_to("{{ client.office + '!' }}", "other", "second")))
    plan = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="plan"))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan.id)
    run = await waiting(tenant.engineer, run_id)
    assert run.seal == plan.seal
    (asked,) = run.approvals
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    run = await wait_for(tenant.engineer, run.id)
    assert (run.state, len(run.approvals)) == ("succeeded", 1)
    assert await variables_of(tenant) == {"office": "Lyon", "other": "Lyon!"}


async def test_a_variable_that_somebody_changed_meanwhile_is_asked_about(runner: Worker) -> None:
    tenant = await tenant_with({"office": "Bonn"}, ONE)
    flow = await tenant.publish(chain("Moved", set_to("Lyon")))
    run = await waiting(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    (asked,) = run.approvals
    await clients.update(tenant.owner, variables={"office": "Kyiv"})
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    again = await wait_for_question(tenant.engineer, run.id, other_than=asked.id)
    assert again.why == "moved"
    assert await variables_of(tenant) == {"office": "Kyiv"}


async def test_the_rows_of_a_batch_do_not_void_each_others_seals(runner: Worker) -> None:
    """One row sets the variable; the other, which does not come to it, is let go on all the same."""
    tenant = await tenant_with({"office": "Bonn"})
    schema = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    document = chain(
        "Rows",
        {"id": "which", "type": "flow.condition", "params": {"expression": "inputs.who != 'b'"}},
        set_to("Lyon"),
        inputs=schema,
    )
    document["edges"][0]["port"] = "true"
    document["nodes"].append({"id": "other", "type": "flow.noop"})
    document["edges"].append({"source": "which", "target": "other", "port": "false"})
    flow = await workflows.import_document(tenant.engineer, document=document)
    rows = [{"who": "a"}, {"who": "b"}]
    batch = await runs.start_batch(tenant.engineer, workflow=flow.id, rows=rows, mode="apply")
    over = await wait_for(tenant.engineer, batch)
    assert (over.state, [row.state for row in over.runs]) == ("succeeded", ["succeeded"] * 2), over.reason
    assert await variables_of(tenant) == {"office": "Lyon"}


async def test_a_worker_that_dies_sets_it_once(m365: Sandbox, relay: Relay) -> None:
    """The run waits behind the step; the next worker sees the value of before its own load in the run's history."""
    relay.runner  # noqa: B018 - starts the one that is to die
    tenant = await tenant_with({"office": "Bonn"})
    hold = {"id": "hold", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    flow = await tenant.publish(chain("Dies", set_to("Lyon"), hold, gives("client.office")))
    run = await waiting(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    relay.replace()
    await clients.update(tenant.owner, variables={"office": "Kyiv"})
    asked = await wait_for_question(tenant.engineer, run.id)
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    run = await wait_for(tenant.engineer, run.id)
    assert (run.state, seen(run)) == ("succeeded", "Lyon")
    assert await variables_of(tenant) == {"office": "Kyiv"}


async def test_another_branch_does_not_see_it_however_often_the_run_is_taken_up(runner: Worker) -> None:
    """What a plan has shown does not hang on whether the run was given back between the two."""
    tenant = await tenant_with({"office": "Bonn"})
    hold = {"id": "hold", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    document = chain("Beside", {"id": "start", "type": "flow.noop"}, hold, gives("client.office"), set_to("!", "mark"))
    document["nodes"] += [set_to("Lyon", node="beside"), set_to("a", "fresh", "fresh")]
    document["edges"] += [{"source": "start", "target": node, "port": "next"} for node in ("beside", "fresh")]
    document["nodes"].append(gives("has(client.fresh)", "known"))
    document["edges"].append({"source": "hold", "target": "known", "port": "approved"})
    flow = await tenant.publish(document)
    run = await waiting(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    await wait_for_steps(tenant.engineer, run.id, {"beside": "succeeded", "fresh": "succeeded"})
    asked = await wait_for_question(tenant.engineer, run.id)
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    run = await wait_for(tenant.engineer, run.id)
    assert (run.state, seen(run), seen(run, "known")) == ("succeeded", "Bonn", False)
    assert await variables_of(tenant) == {"office": "Lyon", "fresh": "a", "mark": "!"}


def holding(kind: str, params: Json, *steps: Json) -> Json:
    body = {key: value for key, value in chain("", *steps).items() if key != "name"}
    return {"id": "holds", "type": kind, "params": params, "body": body}


async def test_a_round_ends_with_the_variables_as_it_has_left_them(runner: Worker) -> None:
    tenant = await tenant_with({"done": False})
    params = {"until": "client.done == true", "result": "client.done", "max_rounds": 3}
    again = holding("flow.repeat_until", params, set_to(True, "done"))
    run = await done(tenant, chain("Rounds", again))
    (output,) = [step.output for step in run.steps if step.node == "holds"]
    assert (run.state, output) == ("succeeded", {"rounds": 1, "met": True, "result": True}), run.reason


async def test_an_item_ends_with_the_variables_as_it_has_left_them(runner: Worker) -> None:
    tenant = await tenant_with({"office": "Bonn"})
    params = {"items": ["Lyon", "Kyiv"], "limit": 1, "result": "client.office"}
    run = await done(tenant, chain("Items", holding("flow.for_each", params, set_to("{{ item }}"))))
    (output,) = [step.output for step in run.steps if step.node == "holds"]
    assert (run.state, output["results"]) == ("succeeded", ["Lyon", "Kyiv"]), run.reason
