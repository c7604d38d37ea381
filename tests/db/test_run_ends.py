"""What the database does by itself when a run ends, whoever ends it; and what it refuses of a run."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from app.core.ids import new_id
from tests.db.world import Company, Connection, Worker, runs, value

_END = "UPDATE runs SET state = 'failed', finished_at = now() WHERE id = %s"


async def listen(superuser: Connection, of: Company) -> None:
    """A trigger of the company that starts something when a run has ended."""
    await superuser.execute(
        "INSERT INTO triggers (client_id, id, name, kind, workflow_id, mode, listens, enabled)"
        " VALUES (%s, %s, 'ends', 'event', %s, 'plan', 'run_ended', true)",
        (of.client_id, new_id(), of.workflow_id),
    )


async def noted(superuser: Connection, run: UUID) -> list[str]:
    """The ends that were noted of the run."""
    cursor = await superuser.execute(
        "SELECT details ->> 'state' FROM happenings WHERE kind = 'run_ended' AND subject = %s ORDER BY at", [run]
    )
    return [row[0] for row in await cursor.fetchall()]


async def words(superuser: Connection, run: UUID) -> list[str]:
    cursor = await superuser.execute("SELECT word FROM run_words WHERE run_id = %s ORDER BY word", [run])
    return [row[0] for row in await cursor.fetchall()]


async def test_an_end_is_noted_where_somebody_listens(superuser: Connection, first: Company, second: Company) -> None:
    await listen(superuser, first)
    [heard], [unheard] = await runs(superuser, first), await runs(superuser, second)
    for run in (heard, unheard):
        await superuser.execute("UPDATE runs SET state = 'running', started_at = now() WHERE id = %s", [run])
        assert await noted(superuser, run) == []
        await superuser.execute(_END, [run])
    assert (await noted(superuser, heard), await noted(superuser, unheard)) == (["failed"], [])


async def test_each_end_is_noted_once(superuser: Connection, first: Company) -> None:
    await listen(superuser, first)
    [run] = await runs(superuser, first)
    await superuser.execute("UPDATE runs SET state = 'cancelled' WHERE id = %s", [run])
    assert await noted(superuser, run) == ["cancelled"], "whether or not it says when"
    await superuser.execute("UPDATE runs SET finished_at = now() WHERE id = %s", [run])
    await superuser.execute("UPDATE runs SET state = 'cancelled', finished_at = now() WHERE id = %s", [run])
    assert await noted(superuser, run) == ["cancelled"]
    await superuser.execute("UPDATE runs SET state = 'queued', finished_at = NULL WHERE id = %s", [run])
    await superuser.execute(_END, [run])
    assert await noted(superuser, run) == ["cancelled", "failed"], "a run that is tried again has another end"


async def test_rows_and_single_steps_are_not_noted(superuser: Connection, first: Company) -> None:
    await listen(superuser, first)
    head, row, single = await runs(superuser, first, 3)
    await superuser.execute("UPDATE runs SET parent = %s WHERE id = %s", [head, row])
    await superuser.execute("UPDATE runs SET only_node = 'n' WHERE id = %s", [single])
    for run in (row, single):
        await superuser.execute(_END, [run])
        assert await noted(superuser, run) == []


async def test_who_watches_is_told_without_a_listener(superuser: Connection, first: Company) -> None:
    [run] = await runs(superuser, first)
    await superuser.execute("""UPDATE runs SET extra = '{"trigger": {"watch": true}}' WHERE id = %s""", [run])
    await superuser.execute(_END, [run])
    assert await noted(superuser, run) == ["failed"]


@pytest.mark.parametrize(
    ("has", "found"),
    [
        ("label = 'Anna Keller'", ["anna", "keller"]),
        ("""inputs = '{"mail": "kim@contoso.com"}'""", ["com", "contoso", "kim"]),
        ("""reason = '{"code": "refused"}'""", ["refused"]),
        ("priority = 0", []),
    ],
)
async def test_an_ended_run_is_found_by_its_words(
    superuser: Connection, first: Company, has: str, found: list[str]
) -> None:
    [run] = await runs(superuser, first)
    # psycopg's types want literal text; what is put in stands in this file.
    await superuser.execute(f"UPDATE runs SET {has} WHERE id = %s", [run])  # type: ignore[arg-type]
    assert await words(superuser, run) == []
    await superuser.execute(_END, [run])
    assert await words(superuser, run) == found


async def test_the_engines_end_leaves_the_same(superuser: Connection, first: Company, worker: Worker) -> None:
    await listen(superuser, first)
    [run] = await runs(superuser, first)
    [claim] = [claim for claim in await worker.claim(100) if claim.run_id == run]
    await worker.commit(claim, run_patch={"state": "running", "started": True})
    patch = {"state": "failed", "reason": {"code": "broken"}, "finished": True}
    await worker.commit(claim, run_patch=patch, queue_patch={"done": True})
    assert (await noted(superuser, run), await words(superuser, run)) == (["failed"], ["broken"])


async def test_a_run_that_is_stored_as_ended_is_found_and_not_noted(superuser: Connection, first: Company) -> None:
    await listen(superuser, first)
    run = new_id()
    await superuser.execute(
        "INSERT INTO runs (client_id, id, workflow_id, document_hash, mode, label, state, finished_at)"
        " VALUES (%s, %s, %s, 'h', 'apply', 'Anna', 'succeeded', now())",
        (first.client_id, run, first.workflow_id),
    )
    assert (await words(superuser, run), await noted(superuser, run)) == (["anna"], [])


async def test_a_key_is_taken_once_and_none_as_often_as_wanted(
    superuser: Connection, first: Company, second: Company
) -> None:
    one, two = await runs(superuser, first, 2)
    [other] = await runs(superuser, second)
    keyed = "UPDATE runs SET idempotency_key = 'k' WHERE id = %s"
    await superuser.execute(keyed, [one])
    await superuser.execute(keyed, [other])
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        await superuser.execute(keyed, [two])
    assert caught.value.diag.constraint_name == "runs_idempotency_key"
    assert await value(superuser, "SELECT idempotency_key FROM runs WHERE id = %s", two) is None


@pytest.mark.parametrize("column", ["state", "kind", "mode"])
async def test_what_no_run_can_be_is_refused(superuser: Connection, first: Company, column: str) -> None:
    [run] = await runs(superuser, first)
    for wrong in ("other", "", "{apply}"):
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            # As above: the column is named in this file.
            await superuser.execute(f"UPDATE runs SET {column} = %s WHERE id = %s", (wrong, run))  # type: ignore[arg-type]
        assert caught.value.diag.constraint_name == f"runs_{column}_check"
