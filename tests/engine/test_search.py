"""Runs are found by how they stand, by words of their inputs and errors, page after page; and what was done to whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.core.clock import utcnow
from app.core.context import Actor
from app.core.errors import Invalid, Missing
from app.core.ids import new_id
from app.services import all_runs, approvals, clients, runs, targets
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Tenant, Worker, chain, make_tenant, wait_for, wait_for_question

Json = dict[str, Any]
SCHEMA = {
    "type": "object",
    "properties": {"email": {"type": "string"}, "word": {"type": "string"}},
    "required": ["email"],
}
LIAM = "liam.o'connor@sandbox.example"
TRY = {"id": "count_it", "type": "flow.transform", "params": {"values": {"n": "{{ int(inputs.word) }}"}}}


@pytest.fixture
async def tenant(runner: Worker) -> tuple[Tenant, dict[str, UUID]]:
    """Three runs: two that ended well, one that failed; and one that waits for a person."""
    made = await make_tenant(NO_POLICY)
    flow = await made.publish(chain("Try", TRY, inputs=SCHEMA))
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    asking = await made.publish(chain("Ask", ask, {"id": "n", "type": "flow.noop"}, inputs=SCHEMA))
    ids: dict[str, UUID] = {}
    for name, word in (("anna.keller", "1"), ("bruno.keller", "2"), ("chloe.martin", "seven")):
        inputs = {"email": f"{name}@contoso.com", "word": word}
        ids[name] = await runs.start(made.engineer, workflow=flow.id, mode="apply", inputs=inputs)
        await wait_for(made.engineer, ids[name])
    ids["waits"] = await runs.start(
        made.engineer, workflow=asking.id, mode="apply", inputs={"email": "dora.keller@contoso.com"}
    )
    await wait_for(made.engineer, ids["waits"], ("waiting",))
    return made, ids


async def test_runs_are_found_by_words_state_and_time(tenant: tuple[Tenant, dict[str, UUID]]) -> None:
    made, ids = tenant
    me = made.engineer

    async def found(search: str = "", **more: object) -> list[str]:
        rows = await runs.list_runs(me, search=search, **more)  # type: ignore[arg-type]
        names = {run_id: name for name, run_id in ids.items()}
        return [names[row.id] for row in rows]

    assert await found("keller") == ["waits", "bruno.keller", "anna.keller"]
    assert await found("KELL con") == ["waits", "bruno.keller", "anna.keller"]
    assert await found("anna.keller@contoso.com") == ["anna.keller"]
    assert await found("seven count") == ["chloe.martin"], "the step that failed is a word too"
    assert await found("email") == [], "the names of inputs are no words"
    assert await found("ontoso") == [], "words are found by their beginning"
    assert await found("%") == []
    assert await found("keller", state=("waiting",)) == ["waits"]
    assert await found("keller", state=("succeeded",)) == ["bruno.keller", "anna.keller"]
    assert await found(state=("failed", "waiting")) == ["waits", "chloe.martin"]
    assert await found("contoso", since=utcnow()) == []
    assert len(await found("contoso", until=utcnow())) == 4
    other = await make_tenant(NO_POLICY)
    assert await runs.list_runs(other.engineer, search="keller") == []


async def test_pages_follow_each_other(tenant: tuple[Tenant, dict[str, UUID]]) -> None:
    made, _ = tenant
    for search in ("", "contoso"):
        whole = [row.id for row in await runs.list_runs(made.engineer, search=search)]
        pages: list[UUID] = []
        while page := await runs.list_runs(made.engineer, search=search, limit=1, before=pages[-1] if pages else None):
            pages += [row.id for row in page]
        assert pages == whole
        assert len(whole) == 4


async def test_what_was_done_to_an_account(m365: Sandbox, runner: Worker) -> None:
    made = await make_tenant(NO_POLICY)
    await made.connect(m365)
    name = LIAM
    off = {"id": "off", "type": "m365.user.disable", "connection": "m365", "params": {"user": name}}
    flow = await made.publish(chain("Off", off))
    run_id = await runs.start(made.engineer, workflow=flow.id, mode="apply")
    assert (await wait_for(made.engineer, run_id)).state == "succeeded"
    undo_id = await runs.undo(made.engineer, run_id)
    assert (await wait_for(made.engineer, undo_id)).state == "succeeded"
    for target in (f"m365.user:{name}", name.upper(), ""):
        found = await targets.history(made.engineer, target=target)
        assert [(each.run_id, each.run_kind) for each in found] == [(undo_id, "undo"), (run_id, "run")]
        assert {each.target for each in found} == {f"m365.user:{name}"}
    [older] = await targets.history(made.engineer, target=name, before=found[0].cursor)
    assert older.run_id == run_id
    assert await targets.history((await make_tenant()).engineer, target=name) == []
    with pytest.raises(Invalid):
        await targets.history(made.engineer, before="nonsense")


async def test_what_was_done_last_comes_first_whenever_its_run_was_started(m365: Sandbox, runner: Worker) -> None:
    made = await make_tenant(NO_POLICY)
    await made.connect(m365)
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}

    def department(node: str, name: str) -> Json:
        params = {"user": LIAM, "department": name}
        return {"id": node, "type": "m365.user.update", "connection": "m365", "params": params}

    waits = await made.publish(chain("Waits", department("first", "Finance"), ask, department("late", "Legal")))
    other = await made.publish(chain("Between", department("between", "Sales")))
    first = await runs.start(made.engineer, workflow=waits.id, mode="apply")
    asked = await wait_for_question(made.engineer, first)
    second = await runs.start(made.engineer, workflow=other.id, mode="apply")
    assert (await wait_for(made.engineer, second)).state == "succeeded"
    await approvals.decide(made.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    moved = await wait_for_question(made.engineer, first, node="late")
    await approvals.decide(made.engineer, moved.id, decision="approve", seal=moved.seal, mfa=True)
    assert (await wait_for(made.engineer, first)).state == "succeeded"
    found = await targets.history(made.engineer, target=LIAM)
    assert [(each.run_id, each.node) for each in found] == [(first, "late"), (second, "between"), (first, "first")]
    pages = [await targets.history(made.engineer, target=LIAM, limit=1, before=each.cursor) for each in found]
    assert [[each.node for each in page] for page in pages] == [["between"], ["first"], []]


async def test_runs_of_all_clients_are_one_list(tenant: tuple[Tenant, dict[str, UUID]]) -> None:
    """Of those that one may look into, whatever the filters say."""
    here, ids = tenant
    me, stranger = here.owner.actor, await make_tenant(NO_POLICY)
    made = await clients.add_client(me, slug=f"gold-{new_id().hex[-8:]}", name="Gold", tags=["gold"])
    own = await clients.enter(me, made.id)
    started = {}
    for other in (Tenant(own, own, own), stranger):
        flow = await other.publish(chain("Try", TRY, inputs=SCHEMA))
        inputs = {"email": "elsa.keller@contoso.com", "word": "x"}
        run_id = await runs.start(other.engineer, workflow=flow.id, mode="apply", inputs=inputs)
        started[other.client_id] = (await wait_for(other.engineer, run_id)).id
    elsa = started[made.id]

    async def found(actor: Actor = me, **asked: Any) -> list[UUID]:
        return [run.id for run in await all_runs.list_all(actor, **asked)]

    everything = await found()
    assert everything == [elsa, ids["waits"], ids["chloe.martin"], ids["bruno.keller"], ids["anna.keller"]]
    failed = await all_runs.list_all(me, state=("failed",))
    assert [(run.client_name, run.id) for run in failed] == [
        ("Gold", elsa),
        (f"Tenant {here.owner.client_slug.removeprefix('tenant-')}", ids["chloe.martin"]),
    ]
    assert await found(only=[made.slug]) == await found(tag="gold") == [elsa]
    assert await found(search="keller", limit=2) == everything[:2]
    assert await found(before=everything[1], limit=2) == everything[2:4]
    with pytest.raises(Missing):
        await found(only=[stranger.owner.client_slug])
    assert await found(replace(me, clients=frozenset({made.id}))) == [elsa]
