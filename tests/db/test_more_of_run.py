"""A run says by itself that there is more of it than most have, whoever adds it and as whom."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from app.core.ids import new_id
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, runs, value

_ADDING = {
    "approval": "INSERT INTO approvals (client_id, id, run_id, title, rule) VALUES (%s, %s, %s, '{}', '{}')",
    "form": "INSERT INTO forms (client_id, id, run_id, node, title, questions, rule)"
    " VALUES (%s, %s, %s, 'ask', '{}', '{}', '{}')",
    "reveal": "INSERT INTO reveals (client_id, id, run_id, node, name, title, vault_path, expires_at)"
    " VALUES (%s, %s, %s, 'create', 'password', '{}', 'p', now() + interval '1 day')",
}
_RUN = (
    "INSERT INTO runs (client_id, id, {column}, workflow_id, version, document_hash, mode)"
    " VALUES (%s, %s, %s, %s, 1, 'h', 'apply')"
)


async def marked(superuser: Connection, run: UUID) -> object:
    return await value(superuser, "SELECT has_more FROM runs WHERE id = %s", run)


@pytest.fixture
async def tenant(connect: Connect, first: Company) -> Connection:
    """The first company, as the web process sees it."""
    link = await connect("web")
    await link.execute("SELECT set_config('app.current_tenant', %s, false)", [str(first.client_id)])
    return link


async def test_a_run_by_itself_has_no_more(superuser: Connection, first: Company) -> None:
    [run] = await runs(superuser, first)
    assert await marked(superuser, run) is False


@pytest.mark.parametrize("kind", _ADDING)
async def test_what_is_added_to_a_run_marks_it_alone(
    superuser: Connection, tenant: Connection, first: Company, kind: str
) -> None:
    run, other = await runs(superuser, first, 2)
    await tenant.execute(_ADDING[kind], (first.client_id, new_id(), run))
    assert (await marked(superuser, run), await marked(superuser, other)) == (True, False)


@pytest.mark.parametrize("column", ["of", "follows"])
async def test_a_run_after_another_marks_the_first(
    superuser: Connection, tenant: Connection, first: Company, column: str
) -> None:
    [run], second = await runs(superuser, first), new_id()
    await tenant.execute(_RUN.format(column=column), (first.client_id, second, run, first.workflow_id))
    assert (await marked(superuser, run), await marked(superuser, second)) == (True, False)


async def test_what_is_refused_marks_nothing(
    superuser: Connection, tenant: Connection, first: Company, second: Company
) -> None:
    [run], [theirs] = await runs(superuser, first), await runs(superuser, second)
    with pytest.raises(psycopg.errors.IntegrityError):
        await tenant.execute(_ADDING["form"].replace("'ask'", "NULL"), (first.client_id, new_id(), run))
    with pytest.raises(psycopg.Error):  # another client's run, under its own client and under ours
        await tenant.execute(_ADDING["form"], (second.client_id, new_id(), theirs))
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await tenant.execute(_ADDING["form"], (first.client_id, new_id(), theirs))
    assert (await marked(superuser, run), await marked(superuser, theirs)) == (False, False)
