"""A search says nothing of runs only where there are none: it looks on behind what does not fit, or is refused."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from app.core.clock import utcnow
from app.core.errors import Invalid
from app.core.ids import new_id
from app.data.routing import Database
from app.data.session import tenant_session
from app.services import run_search
from app.services.run_search import Wanted, newest_fitting
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, company, value

# More than are looked at in the first bites.
_MANY = 12_000
_FILL = """
INSERT INTO runs (client_id, id, workflow_id, document_hash, mode, label, state, finished_at)
SELECT %s, u.id, %s, 'h', 'apply', 'Contoso', CASE WHEN u.n = 1 THEN 'failed' ELSE 'succeeded' END, now()
  FROM unnest(%s::uuid[]) WITH ORDINALITY AS u (id, n)"""


@pytest.fixture(scope="module")
def filled() -> dict[str, tuple[Company, UUID]]:
    return {}


@pytest.fixture
async def crowd(connect: Connect, web: Database, filled: dict[str, tuple[Company, UUID]]) -> tuple[Company, UUID]:
    """A client whose oldest run failed, and no other; all have the same word."""
    if not filled:
        superuser = await connect("superuser")
        made, ids = await company(superuser), sorted(new_id() for _ in range(_MANY))
        await superuser.execute(_FILL, (made.client_id, made.workflow_id, ids))
        filled["crowd"] = made, ids[0]
    return filled["crowd"]


async def found(web: Database, wanted: Wanted) -> list[UUID]:
    async with tenant_session(wanted.client_id, on=web) as session:
        return [run.id for run, _ in await newest_fitting(session, wanted)]


async def test_what_fits_is_found_behind_many_that_do_not(web: Database, crowd: tuple[Company, UUID]) -> None:
    client, oldest = crowd
    wanted = Wanted(client.client_id, states=("failed",), search="contoso")
    assert await found(web, wanted) == [oldest]


async def test_a_page_is_full_where_there_is_more(web: Database, crowd: tuple[Company, UUID]) -> None:
    client, _ = crowd
    first = await found(web, Wanted(client.client_id, search="contoso", limit=500))
    second = await found(web, Wanted(client.client_id, search="contoso", limit=500, before=first[-1]))
    assert len({*first, *second}) == 1000
    assert min(first) > max(second)


async def test_a_search_that_takes_too_long_is_refused(
    web: Database, crowd: tuple[Company, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = crowd
    monkeypatch.setattr(run_search, "_LONGEST_S", 0.0)
    with pytest.raises(Invalid) as refused:
        await found(web, Wanted(client.client_id, states=("failed",), search="contoso"))
    assert refused.value.code == "search_too_wide"
    assert [problem.field for problem in refused.value.problems] == ["search"]
    assert len(await found(web, Wanted(client.client_id, search="contoso"))) == 50, "a full page is one all the same"


@pytest.mark.parametrize("bound", [{"since": timedelta(days=3)}, {"until": timedelta(days=-3)}])
async def test_a_time_keeps_a_search_from_what_is_outside(
    web: Database, crowd: tuple[Company, UUID], monkeypatch: pytest.MonkeyPatch, bound: dict[str, timedelta]
) -> None:
    client, _ = crowd
    monkeypatch.setattr(run_search, "_LONGEST_S", 0.0)
    times = {name: utcnow() + shift for name, shift in bound.items()}
    assert await found(web, Wanted(client.client_id, search="contoso", **times)) == []  # type: ignore[arg-type]


async def test_of_too_many_words_those_of_label_and_error_are_kept(superuser: Connection) -> None:
    words = await value(
        superuser,
        "SELECT array_agg(found.word) FROM opsloom_words('Zoe', jsonb_build_object('text',"
        " (SELECT string_agg('w' || n, ' ') FROM generate_series(1, 90) n), 'more',"
        " (SELECT jsonb_agg('v' || n) FROM generate_series(1, 500) n)),"
        ' \'{"code": "zcode", "node": "znode", "message": "zmessage"}\') AS found (word)',
    )
    assert isinstance(words, list)
    assert words[:4] == ["zoe", "zcode", "znode", "zmessage"]
    assert len(words) == len(set(words)) == 300
