"""A wave that is steered, or whose maker dies, while its clients are prepared: no run is made that nobody owns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.errors import Stale
from app.core.ids import new_id
from app.services import runs, wave_preparing, waves, workflows
from app.services.clients import ClientView
from tests.engine.kit import Worker
from tests.engine.waves import FINE, Msp, failing_where, msp_with, published, reached, states_of, until
from tests.servers import TestStack

Json = dict[str, Any]
_AT_REST = """
SELECT 1 FROM run_queue WHERE run_id = %s AND worker_id IS NULL AND ready_at > now() + interval '30 seconds'"""
_TIME_LEFT = """
UPDATE runs SET extra = extra || jsonb_build_object('preparing_until', now() + make_interval(secs => %s))
 WHERE id = %s"""
_LEFT = "SELECT extract(epoch FROM (extra ->> 'preparing_until')::timestamptz - now()) FROM runs WHERE id = %s"


@dataclass
class Gate:
    """Stops whoever prepares a wave at one client: before its run is made, or with ``after`` right afterwards."""

    at: str = ""
    after: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[UUID]] = field(default_factory=list)

    async def start(self, msp: Msp, at: str, *, after: bool = False) -> tuple[UUID, asyncio.Task[UUID]]:
        """A wave that is stopped there, and the task that prepares it."""
        self.at, self.after = msp.slug(at), after
        flow = await published(msp, failing_where())
        task = asyncio.create_task(waves.start(msp.me, workflow=flow, mode="apply", to=msp.slugs, percents=[]))
        self._tasks.append(task)
        await asyncio.wait_for(self.reached.wait(), 20)
        return (await waves.list_waves(msp.me))[0].id, task

    async def wait(self) -> None:
        self.reached.set()
        await self.go.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    made, found = wave_preparing._hold, Gate()

    async def stopped(ctx: Any, head: Any, client: ClientView, *rest: Any) -> None:
        if client.slug == found.at and not found.after:
            await found.wait()
        await made(ctx, head, client, *rest)
        if client.slug == found.at and found.after:
            await found.wait()

    monkeypatch.setattr(wave_preparing, "_hold", stopped)
    yield found
    await found.close()


def told(stack: TestStack, query: str, *values: Any) -> Any:
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        cursor = link.execute(query, values)
        return cursor.fetchone() if cursor.description else None


async def looked(stack: TestStack, wave: UUID) -> None:
    """Wait until the head has looked, and waits for whoever prepares its clients."""

    async def look() -> bool:
        return told(stack, _AT_REST, wave) is not None

    await until(look, "the head to wait")


async def states_in(msp: Msp) -> dict[str, list[str]]:
    """The states of all runs in each client."""
    return {name: [run.state for run in await runs.list_runs(own)] for name, own in msp.own.items()}


async def test_a_wave_that_is_paused_while_it_is_prepared_begins_whole(
    web: TestStack, runner: Worker, gate: Gate
) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    wave, task = await gate.start(msp, "bob")
    with pytest.raises(Stale):
        await waves.resume(msp.me, wave)
    await waves.pause(msp.me, wave)
    await looked(web, wave)
    view = await waves.get(msp.me, wave, matrix=waves.Matrix())
    assert states_of(view) == {"Ada": "held", "Bob": "preparing", "Cyd": "preparing"}
    assert [target.run is None for target in view.targets] == [False, True, True]
    gate.go.set()
    assert await task == wave
    view = await reached(msp, wave, "paused")
    assert states_of(view) == {"Ada": "held", "Bob": "held", "Cyd": "held"}
    await waves.resume(msp.me, wave)
    await reached(msp, wave, "succeeded")
    assert await states_in(msp) == {"ada": ["succeeded"], "bob": ["succeeded"], "cyd": ["succeeded"]}


async def test_a_wave_that_is_cancelled_while_it_is_prepared_runs_nowhere(
    web: TestStack, runner: Worker, gate: Gate
) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    wave, task = await gate.start(msp, "bob")
    await waves.cancel(msp.me, wave)
    await looked(web, wave)
    gate.go.set()
    await task
    view = await reached(msp, wave, "cancelled")
    assert {(target.state, target.reason and target.reason["code"]) for target in view.targets} == {
        ("not_run", "wave_cancelled")
    }
    # Nobody was prepared after the cancel was seen.
    assert await states_in(msp) == {"ada": ["cancelled"], "bob": ["cancelled"], "cyd": []}


async def test_whoever_was_taken_for_dead_leaves_no_run_behind(web: TestStack, runner: Worker, gate: Gate) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    wave, task = await gate.start(msp, "bob")
    told(web, _TIME_LEFT, -1, wave)
    await waves.pause(msp.me, wave)
    view = await reached(msp, wave, "paused")
    assert states_of(view) == {"Ada": "held", "Bob": "not_run", "Cyd": "not_run"}
    assert [target.reason for target in view.targets if target.state == "not_run"] == [{"code": "not_prepared"}] * 2
    gate.go.set()
    await task
    assert await states_in(msp) == {"ada": ["waiting"], "bob": ["cancelled"], "cyd": []}
    await waves.resume(msp.me, wave)
    view = await reached(msp, wave, "succeeded")
    assert states_of(view) == {"Ada": "succeeded", "Bob": "not_run", "Cyd": "not_run"}


async def test_a_run_whose_maker_died_right_afterwards_is_not_lost(web: TestStack, runner: Worker, gate: Gate) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    wave, task = await gate.start(msp, "bob", after=True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    told(web, _TIME_LEFT, -1, wave)
    await waves.pause(msp.me, wave)
    assert states_of(await reached(msp, wave, "paused")) == {"Ada": "held", "Bob": "held", "Cyd": "not_run"}
    await waves.resume(msp.me, wave)
    await reached(msp, wave, "succeeded")
    assert await states_in(msp) == {"ada": ["succeeded"], "bob": ["succeeded"], "cyd": []}


async def test_whoever_prepares_for_long_is_not_taken_for_dead(web: TestStack, runner: Worker, gate: Gate) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    wave, _ = await gate.start(msp, "bob")
    told(web, _TIME_LEFT, 40, wave)
    gate.at = msp.slug("cyd")
    gate.reached.clear()
    go, gate.go = gate.go, asyncio.Event()
    go.set()
    await asyncio.wait_for(gate.reached.wait(), 20)
    (left,) = told(web, _LEFT, wave)
    assert left > 60
    gate.go.set()
    await reached(msp, wave, "succeeded")


async def test_two_waves_at_once_that_bring_a_client_its_first_copy(web: TestStack, runner: Worker) -> None:
    """Each looks for a copy, finds none, and would make it."""
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    for _ in range(5):
        flow = await published(msp, failing_where(f"Wave {new_id().hex[-8:]}"))
        asked: Json = {"workflow": flow, "mode": "plan", "to": msp.slugs}
        started = await asyncio.gather(*(waves.start(msp.me, **asked) for _ in range(3)))
        for wave in started:
            view = await reached(msp, wave, "succeeded", "failed")
            assert set(states_of(view).values()) == {"succeeded"}


async def test_a_copy_whose_names_are_taken_gets_another(web: TestStack, runner: Worker) -> None:
    msp = await msp_with(ada=FINE)
    flow = await published(msp, failing_where("Same"))
    for name in ("Same", f"Same ({msp.me.client_slug})"):
        await workflows.import_document(msp.own["ada"], document=failing_where(name))
    wave = await waves.start(msp.me, workflow=flow, mode="plan", to=msp.slugs)
    view = await reached(msp, wave, "succeeded", "failed")
    assert states_of(view) == {"Ada": "succeeded"}
    names = {row.name for row in await workflows.list_workflows(msp.own["ada"])}
    assert names == {"Same", f"Same ({msp.me.client_slug})", f"Same ({msp.me.client_slug}) 2"}


async def test_a_fault_in_one_clients_data_keeps_nobody_else_from_being_run(web: TestStack, runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    flow = await published(msp, failing_where())
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$")
        link.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON runs FOR EACH ROW"
            f" WHEN (NEW.client_id = '{msp.own['bob'].client_id}') EXECUTE FUNCTION broken()"
        )
        try:
            wave = await waves.start(msp.me, workflow=flow, mode="apply", to=msp.slugs, percents=[])
        finally:
            link.execute("DROP FUNCTION broken() CASCADE")
    view = await reached(msp, wave, "succeeded", "failed")
    assert states_of(view) == {"Ada": "succeeded", "Bob": "not_run", "Cyd": "succeeded"}
    assert [target.reason for target in view.targets if target.name == "Bob"] == [{"code": "not_prepared"}]
