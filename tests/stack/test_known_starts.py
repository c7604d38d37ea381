"""What was started before is started again in one round trip, and only while nothing of it has changed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from app.core.context import Context
from app.core.errors import Invalid, Missing, OpsloomError, Stale, Unavailable
from app.core.ids import new_id
from app.data.session import CommitUnknown
from app.data.trips import Ask
from app.services import clients, known_starts, runs, start_storing, starts, workflows
from tests.servers import TestStack
from tests.stack.people import World

pytestmark = pytest.mark.usefixtures("calm")
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def document(name: str, *params: Any, schema: Any = SCHEMA) -> dict[str, Any]:
    nodes = [{"id": f"n{number}", "type": "flow.transform", "params": each} for number, each in enumerate(params)]
    return {"schema": "opsloom/workflow@1", "name": name, "inputs": schema, "nodes": nodes or [NOOP]}


NOOP = {"id": "a", "type": "flow.noop"}


@pytest.fixture
async def owner(world: World) -> Context:
    return await world.context("owner")


@pytest.fixture
async def flow(owner: Context) -> workflows.WorkflowView:
    """A workflow of which one run was started."""
    made = await workflows.import_document(owner, document=document(f"Known {new_id()}"))
    await runs.start(owner, workflow=made.name)
    return made


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each start that reads its version."""
    found: list[str] = []
    asking = starts.asking_version

    def noted(ctx: Context, workflow: Any, number: int | None) -> Any:
        found.append(str(workflow))
        return asking(ctx, workflow, number)

    monkeypatch.setattr(starts, "asking_version", noted)
    return found


async def test_nothing_is_read_while_nothing_has_changed(owner: Context, flow: Any, reads: list[str]) -> None:
    first, second = [await runs.start(owner, workflow=flow.name, inputs={"a": each}) for each in ("1", "2")]
    assert reads == []
    assert [(await runs.get(owner, each)).inputs for each in (first, second)] == [{"a": "1"}, {"a": "2"}]
    assert (await runs.get(owner, first)).state == "queued"


async def test_a_version_that_was_published_since_is_started(owner: Context, flow: Any, reads: list[str]) -> None:
    schema = {**SCHEMA, "required": ["a"]}
    fresh = await workflows.get(owner, flow.id)
    await workflows.save_draft(owner, flow.id, document=document(flow.name, schema=schema), revision=fresh.revision)
    saved = await workflows.save_version(owner, flow.id)
    assert (await runs.get(owner, await runs.start(owner, workflow=flow.name))).version == 1
    assert reads == []
    await workflows.publish(owner, flow.id, version=saved.version)
    with pytest.raises(Invalid):
        await runs.start(owner, workflow=flow.name)
    assert (await runs.get(owner, await runs.start(owner, workflow=flow.name, inputs={"a": "x"}))).version == 2
    assert (await runs.get(owner, await runs.start(owner, workflow=flow.name, version=1))).version == 1
    assert len(reads) == 3


async def test_inputs_that_a_newer_version_takes_are_taken(owner: Context, flow: Any) -> None:
    with pytest.raises(Invalid):
        await runs.start(owner, workflow=flow.name, inputs={"b": "x"})
    schema = {"type": "object", "properties": {"b": {"type": "string"}}}
    fresh = await workflows.get(owner, flow.id)
    await workflows.save_draft(owner, flow.id, document=document(flow.name, schema=schema), revision=fresh.revision)
    saved = await workflows.save_version(owner, flow.id)
    await workflows.publish(owner, flow.id, version=saved.version)
    assert (await runs.get(owner, await runs.start(owner, workflow=flow.name, inputs={"b": "x"}))).version == 2


async def test_what_is_around_it_is_looked_at_again(owner: Context, reads: list[str]) -> None:
    await clients.update(owner, variables={"domain": "x.example"})
    text = {"values": {"at": "{{ client.domain }}"}}
    made = await workflows.import_document(owner, document=document(f"Around {new_id()}", text))
    for _ in range(2):
        await runs.start(owner, workflow=made.name)
    assert len(reads) == 1
    await clients.update(owner, variables={})
    with pytest.raises(OpsloomError) as wrong:
        await runs.start(owner, workflow=made.name)
    assert wrong.value.code == "document_invalid"


async def test_a_workflow_that_is_gone_is_not_started(owner: Context, flow: Any) -> None:
    await workflows.archive(owner, flow.id)
    with pytest.raises(Missing):
        await runs.start(owner, workflow=flow.name)


async def test_a_key_starts_once(owner: Context, flow: Any) -> None:
    key = f"k-{new_id()}"
    first = await runs.start(owner, workflow=flow.name, idempotency_key=key)
    assert await runs.start(owner, workflow=flow.name, idempotency_key=key) == first
    with pytest.raises(Stale) as other:
        await runs.start(owner, workflow=flow.name, idempotency_key=key, mode="apply")
    assert other.value.code == "idempotency_other"


async def test_each_client_has_its_own(world: World, owner: Context, flow: Any, web: TestStack) -> None:
    there = clients.system_context("setup", world.two.id, world.two.slug)
    counting = "SELECT count(*) FROM runs WHERE client_id = %s"
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        before = link.execute(counting, (world.two.id,)).fetchone()
        with pytest.raises(Missing):
            await runs.start(there, workflow=flow.name)
        assert link.execute(counting, (world.two.id,)).fetchone() == before


async def test_only_so_many_are_kept(owner: Context, flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_starts, "_MOST", 1)
    other = await workflows.import_document(owner, document=document(f"Other {new_id()}"))
    await runs.start(owner, workflow=other.name)
    assert [key[1] for key in known_starts._known] == [other.name]


@pytest.fixture
def answers_lost(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done through trips that write, after which their connection seems to be lost."""
    done: list[str] = []
    real = start_storing.tenant_trip

    async def lost(ctx: Context, *asks: Ask, writes: bool = False) -> Any:
        if writes and done == ["nothing"]:
            raise CommitUnknown
        found = await real(ctx, *asks, writes=writes)
        if writes:
            done.append("stored")
            raise CommitUnknown
        return found

    monkeypatch.setattr(start_storing, "tenant_trip", lost)
    return done


async def test_a_start_whose_answer_was_lost_is_looked_for(
    owner: Context, flow: Any, answers_lost: list[str], web: TestStack
) -> None:
    run_id = await runs.start(owner, workflow=flow.name)
    assert answers_lost == ["stored"]
    assert (await runs.get(owner, run_id)).state == "queued"
    answers_lost[:] = ["nothing"]
    with pytest.raises(Unavailable):
        await runs.start(owner, workflow=flow.name)
    with psycopg.connect(web.superuser_dsn) as link:
        found = link.execute("SELECT count(*) FROM runs WHERE workflow_id = %s", (flow.id,)).fetchone()
    assert found == (2,)
