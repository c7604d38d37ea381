"""Old history goes to files whole, out of the database, for its client only; crashes lose and double nothing."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from app.core.clock import utcnow
from app.core.errors import Stale
from app.data import doors
from app.engine.runtime import archive
from app.engine.runtime.history import bite, keep_history
from app.services import client_limits, runs, targets
from connectors.testing import Sandbox
from tests.engine.archiving import SOON, As, ended_runs, month_of, rows, steps_left
from tests.engine.kit import NO_POLICY, Worker, chain, make_tenant, wait_for
from tests.servers import TestStack


async def test_old_history_goes_to_a_file_and_leaves_the_run(web: TestStack, runner: Worker, tmp_path: Path) -> None:
    tenant, ids = await ended_runs(3)
    other, _ = await ended_runs(1)
    before = rows(
        web, "SELECT to_jsonb(e) FROM step_events e WHERE client_id = %s ORDER BY run_id, seq", tenant.client_id
    )
    others = steps_left(web, other.client_id)
    async with As(web):
        assert await bite(tenant.client_id, tmp_path, utcnow() - SOON) == 0, "it is not old enough"
        assert await bite(tenant.client_id, tmp_path, utcnow() + SOON) == 3
        assert await bite(tenant.client_id, tmp_path, utcnow() + SOON) == 0
    assert steps_left(web, tenant.client_id) == 0
    assert steps_left(web, other.client_id) == others
    lines = list(archive.read(tmp_path, tenant.client_id, month_of(ids[0])))
    assert [line["event"] for line in lines if "event" in line] == [row[0] for row in before]
    assert [line["run"]["id"] for line in lines if "run" in line] == [str(each) for each in ids]
    view = await runs.get(tenant.engineer, ids[0])
    assert (view.state, view.archive) == ("succeeded", f"{tenant.client_id}/{month_of(ids[0])}.jsonl.gz")
    assert view.archived_at is not None
    [(details,)] = rows(
        web,
        "SELECT details FROM audit_events WHERE client_id = %s AND action = 'history_archived'",
        tenant.client_id,
    )
    assert (details["runs"], details["events"], details["dropped"]) == (3, len(before), len(before))
    file = tmp_path / str(view.archive)
    assert file.stat().st_mode & 0o077 == 0
    assert len(gzip.decompress(file.read_bytes()).splitlines()) == len(lines), "any gzip reader reads all parts"


async def test_nothing_starts_from_archived_steps(web: TestStack, runner: Worker, tmp_path: Path) -> None:
    tenant, [run_id] = await ended_runs(1)
    async with As(web):
        await bite(tenant.client_id, tmp_path, utcnow() + SOON)
    with pytest.raises(Stale) as refused:
        await runs.undo(tenant.engineer, run_id)
    assert refused.value.code == "run_archived"
    with pytest.raises(Stale) as refused:
        await runs.again(tenant.engineer, run_id, nodes=["b"])
    assert refused.value.code == "run_archived"


async def test_what_was_taken_back_is_archived_after_its_undo(
    web: TestStack, m365: Sandbox, runner: Worker, tmp_path: Path
) -> None:
    """An undo can only be read, and tried again, beside the steps that it takes back."""
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    off = {"id": "off", "type": "m365.user.disable", "connection": "m365", "params": {"user": "zoe@sandbox.example"}}
    flow = await tenant.publish(chain("Off", off))
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    m365.control.fault("error", writes=True, status=403, code="Authorization_RequestDenied")
    undo = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run.id))
    assert undo.state == "failed"
    async with As(web):
        assert await bite(tenant.client_id, tmp_path, undo.created_at) == 0, "the run alone is old enough"
    assert (await runs.get(tenant.engineer, undo.id)).steps == undo.steps
    await runs.retry(tenant.engineer, undo.id)
    assert (await wait_for(tenant.engineer, undo.id, ("succeeded",))).effects == ("off",)
    async with As(web):
        assert [await bite(tenant.client_id, tmp_path, utcnow() + SOON) for _ in range(3)] == [1, 1, 0]
    for run_id in (run.id, undo.id):
        view = await runs.get(tenant.engineer, run_id)
        assert (view.state, view.archived_at is not None) == ("succeeded", True)


async def test_what_a_run_that_goes_on_needs_is_kept(web: TestStack, runner: Worker, tmp_path: Path) -> None:
    tenant, [run_id] = await ended_runs(1)
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    flow = await tenant.publish(chain("Waits", ask, {"id": "n", "type": "flow.noop"}))
    waits = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await wait_for(tenant.engineer, waits, ("waiting",))
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE runs SET of = %s WHERE id = %s", (run_id, waits))
    async with As(web):
        assert await bite(tenant.client_id, tmp_path, utcnow() + SOON) == 0
    assert steps_left(web, tenant.client_id) > 0


async def test_a_crash_between_file_and_commit_doubles_nothing(
    web: TestStack, runner: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, ids = await ended_runs(2)
    before = steps_left(web, tenant.client_id)

    async def dies(*_: object) -> int:
        raise ConnectionError

    async with As(web):
        with monkeypatch.context() as patch:
            patch.setattr(doors, "drop_history", dies)
            with pytest.raises(ConnectionError):
                await bite(tenant.client_id, tmp_path, utcnow() + SOON)
        assert steps_left(web, tenant.client_id) == before
        file = tmp_path / str(tenant.client_id) / f"{month_of(ids[0])}.jsonl.gz"
        with file.open("ab") as torn:
            torn.write(b"half a part")
        assert await bite(tenant.client_id, tmp_path, utcnow() + SOON) == 2
    lines = list(archive.read(tmp_path, tenant.client_id, month_of(ids[0])))
    assert [line["run"]["id"] for line in lines if "run" in line] == [str(each) for each in ids]
    assert len(gzip.decompress(file.read_bytes()).splitlines()) == len(lines)


async def test_a_changed_file_is_noticed(web: TestStack, runner: Worker, tmp_path: Path) -> None:
    tenant, [run_id] = await ended_runs(1)
    async with As(web):
        await bite(tenant.client_id, tmp_path, utcnow() + SOON)
    file = tmp_path / str(tenant.client_id) / f"{month_of(run_id)}.jsonl.gz"
    file.write_bytes(file.read_bytes()[:-9] + b"X" + file.read_bytes()[-8:])
    with pytest.raises(archive.ArchiveDamaged):
        list(archive.read(tmp_path, tenant.client_id, month_of(run_id)))


async def test_the_door_removes_what_is_archived_and_ones_own_only(web: TestStack, runner: Worker) -> None:
    one, [mine] = await ended_runs(1)
    other, [theirs] = await ended_runs(1)
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE runs SET archived_at = now() WHERE id = %s", [theirs])
    with psycopg.connect(web.dsn("scheduler")) as link:
        for client in ("", str(one.client_id)):
            link.execute("SELECT set_config('app.current_tenant', %s, true)", [client])
            assert link.execute("SELECT doors.drop_history(%s)", [[mine, theirs]]).fetchone() == (0,)
    for role in ("web", "worker"):
        with psycopg.connect(web.dsn(role)) as link, pytest.raises(psycopg.errors.InsufficientPrivilege):  # type: ignore[arg-type]
            link.execute("SELECT doors.drop_history(%s)", [[mine]])
    assert steps_left(web, one.client_id) > 0
    assert steps_left(web, other.client_id) > 0


async def test_each_client_has_its_own_retention_and_empty_months_go(
    web: TestStack, runner: Worker, tmp_path: Path
) -> None:
    """A month of long ago, with the history of two clients: it goes when the second one's has gone."""
    pair = [await ended_runs(1), await ended_runs(1)]
    part, old = "step_events_2024_03", []
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("SET ROLE opsloom_owner")
        link.execute(
            f"CREATE TABLE {part} PARTITION OF step_events FOR VALUES"
            " FROM ('018df6ec-0000-0000-0000-000000000000') TO ('018e9592-0000-0000-0000-000000000000')"
        )
        link.execute(f"ALTER TABLE {part} ENABLE ROW LEVEL SECURITY")
        link.execute(f"ALTER TABLE {part} FORCE ROW LEVEL SECURITY")
        link.execute(f"SELECT copy_policies('step_events', '{part}')")
        link.execute("RESET ROLE")
        for number, (_, [run_id]) in enumerate(pair):
            aged = UUID(f"018e0000-0000-7000-8000-{number:04x}{run_id.hex[-8:]}")
            link.execute("ALTER TABLE step_events DISABLE TRIGGER ALL; ALTER TABLE runs DISABLE TRIGGER ALL")
            link.execute("SET session_replication_role = replica")
            link.execute("UPDATE step_events SET run_id = %s WHERE run_id = %s", (aged, run_id))
            link.execute("UPDATE run_plans SET run_id = %s WHERE run_id = %s", (aged, run_id))
            link.execute("UPDATE runs SET id = %s, finished_at = '2024-03-05' WHERE id = %s", (aged, run_id))
            link.execute("SET session_replication_role = origin")
            link.execute("ALTER TABLE step_events ENABLE TRIGGER ALL; ALTER TABLE runs ENABLE TRIGGER ALL")
            old.append(aged)
    (first, _), (second, _) = pair
    years = (datetime.now(UTC) - datetime(2024, 3, 5, tzinfo=UTC)).days + 30
    await client_limits.change(first.owner, max_running=None, starts_per_minute=None, history_days=30)
    dsn = web.dsn("scheduler")
    async with As(web):
        await keep_history(dsn, tmp_path, years)
    assert (await runs.get(first.engineer, old[0])).archive is not None
    assert (await runs.get(second.engineer, old[1])).archive is None
    assert rows(web, "SELECT to_regclass(%s)::text", part) == [(part,)]
    async with As(web):
        await keep_history(dsn, tmp_path, 30)
    assert rows(web, "SELECT to_regclass(%s)::text", part) == [(None,)]
    assert (await runs.get(second.engineer, old[1])).archive is not None


async def test_what_was_done_to_an_account_is_known_after_archiving(
    web: TestStack, m365: Sandbox, runner: Worker, tmp_path: Path
) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    off = {"id": "off", "type": "m365.user.disable", "connection": "m365"}
    name = "liam.o'connor@sandbox.example"
    flow = await tenant.publish(chain("Off", {**off, "params": {"user": name}}))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"
    [before] = await targets.history(tenant.engineer, target=name)
    async with As(web):
        await bite(tenant.client_id, tmp_path, utcnow() + SOON)
    [after] = await targets.history(tenant.engineer, target=name)
    assert after == before.model_copy(update={"change": None})
