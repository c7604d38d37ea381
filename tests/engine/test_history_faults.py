"""What goes wrong in archiving: commits nobody heard of, runs of any size, a client that cannot be archived."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from app.core.clock import utcnow
from app.data import doors
from app.data.session import CommitUnknown
from app.engine.runtime import archive, history
from app.engine.runtime.archive import ArchiveBusy
from app.engine.runtime.history import bite, keep_history
from app.services import runs
from tests.engine.archiving import SOON, As, ended_runs, month_of, steps_left
from tests.engine.kit import Worker, chain, wait_for
from tests.servers import TestStack

_MB = 1 << 20


def archived_runs(folder: Path, client: UUID, month: str) -> list[str]:
    return [line["run"]["id"] for line in archive.read(folder, client, month) if "run" in line]


async def test_a_part_counts_while_its_commit_may_still_come(
    web: TestStack, runner: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost in a commit that waits for its standby: the month is free, the transaction goes on."""
    tenant, ids = await ended_runs(3)
    month = month_of(ids[0])

    async def lost(*_: object) -> int:
        raise CommitUnknown

    monkeypatch.setattr(history, "_RUNS_A_BITE", 2)
    async with As(web):
        with monkeypatch.context() as patch:
            patch.setattr(doors, "drop_history", lost)
            with pytest.raises(CommitUnknown):
                await bite(tenant.client_id, tmp_path, utcnow() + SOON)
        with psycopg.connect(web.superuser_dsn) as goes_on:
            goes_on.execute("UPDATE runs SET archived_at = now(), archive = 'x' WHERE id = ANY (%s)", [ids[:2]])
            goes_on.execute("DELETE FROM step_events WHERE run_id = ANY (%s)", [ids[:2]])
            with pytest.raises(ArchiveBusy):
                await bite(tenant.client_id, tmp_path, utcnow() + SOON)
            goes_on.commit()
        assert archived_runs(tmp_path, tenant.client_id, month) == [str(each) for each in ids[:2]]
        assert await bite(tenant.client_id, tmp_path, utcnow() + SOON) == 1
    assert archived_runs(tmp_path, tenant.client_id, month) == [str(each) for each in ids]
    assert steps_left(web, tenant.client_id) == 0


async def test_a_bite_is_bounded_by_its_bytes(
    web: TestStack, runner: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, ids = await ended_runs(2)
    monkeypatch.setattr(history, "_BYTES_A_BITE", 1)
    async with As(web):
        assert await bite(tenant.client_id, tmp_path, utcnow() + SOON) == 1
        assert await bite(tenant.client_id, tmp_path, utcnow() + SOON) == 1
    assert archived_runs(tmp_path, tenant.client_id, month_of(ids[0])) == [str(each) for each in ids]


async def test_little_of_an_enormous_run_is_in_memory(web: TestStack, runner: Worker, tmp_path: Path) -> None:
    """A hundred outputs of a megabyte, in less memory than they take."""
    tenant, [run_id] = await ended_runs(1)
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute(
            "INSERT INTO step_events (client_id, run_id, seq, node, kind, payload)"
            " SELECT %s, %s, 1000 + n, 'a', 'succeeded', jsonb_build_object('output', repeat('x', %s))"
            "   FROM generate_series(1, 100) n",
            (tenant.client_id, run_id, _MB),
        )
    before = steps_left(web, tenant.client_id)
    gc.collect()
    tracemalloc.start()
    try:
        async with As(web):
            assert await bite(tenant.client_id, tmp_path, utcnow() + SOON) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * _MB
    assert steps_left(web, tenant.client_id) == 0
    lines = list(archive.read(tmp_path, tenant.client_id, month_of(run_id)))
    assert len([line for line in lines if "event" in line]) == before
    assert len(lines[-1]["event"]["payload"]["output"]) == _MB


@pytest.mark.parametrize("error", [ValueError, psycopg.DataError])
async def test_a_client_that_cannot_be_archived_keeps_nobody_else_from_it(
    web: TestStack, runner: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    pair = [await ended_runs(1), await ended_runs(1)]
    (bad, _), (good, _) = pair
    dropped: list[bool] = []

    async def failing(client: UUID, *more: Path) -> int:
        if client == bad.client_id:
            raise error
        return await bite(client, *more)  # type: ignore[arg-type]

    async def both(*_: object) -> list[tuple[UUID, int]]:
        return [(bad.client_id, -1), (good.client_id, -1)]

    async def dropping(_: object) -> int:
        dropped.append(True)
        return 0

    monkeypatch.setattr(history, "bite", failing)
    monkeypatch.setattr(doors, "history_clients", both)
    monkeypatch.setattr(doors, "drop_empty_partitions", dropping)
    async with As(web):
        await keep_history(web.dsn("scheduler"), tmp_path, 30)
    assert steps_left(web, good.client_id) == 0
    assert steps_left(web, bad.client_id) > 0
    assert dropped, "the months are looked at nevertheless"


async def test_a_lost_connection_ends_the_turn(
    web: TestStack, runner: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> int:
        raise CommitUnknown

    monkeypatch.setattr(history, "bite", lost)
    async with As(web):
        with pytest.raises(CommitUnknown):
            await keep_history(web.dsn("scheduler"), tmp_path, 30)


async def test_a_month_is_held_until_the_write_in_hand_is_over(
    web: TestStack, runner: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lost the lead stops; the next leader must not write into what a thread of theirs still writes."""
    tenant, [run_id] = await ended_runs(1)
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    add_run = archive.Part.add_run

    def slow(part: archive.Part, run: UUID, line: str) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(30)
        add_run(part, run, line)

    monkeypatch.setattr(archive.Part, "add_run", slow)
    async with As(web):
        biting = asyncio.create_task(bite(tenant.client_id, tmp_path, utcnow() + SOON))
        await begun.wait()
        biting.cancel()
        await asyncio.wait([biting], timeout=0.5)  # it would be over by then
        with pytest.raises(ArchiveBusy), archive.opened(tmp_path, tenant.client_id, month_of(run_id)):
            pass
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await biting
    assert steps_left(web, tenant.client_id) > 0


async def test_a_run_that_was_needed_since_the_first_look_is_kept(
    web: TestStack, runner: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look sees the runs of its beginning only: here it sees of none that it needs another."""
    tenant, [other, needed] = await ended_runs(2)
    flow = await tenant.publish(chain("Waits", {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}}))
    waits = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await wait_for(tenant.engineer, waits, ("waiting",))
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE runs SET sealed_plan = %s WHERE id = %s", (needed, waits))
    monkeypatch.setattr(history, "_RIPE", history._RIPE.replace("o.outcome IS NULL", "false"))
    async with As(web):
        assert await bite(tenant.client_id, tmp_path, utcnow() + SOON) == 1
    assert archived_runs(tmp_path, tenant.client_id, month_of(other)) == [str(other)]
