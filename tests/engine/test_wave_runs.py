"""Holding a wave's run back while a worker may be claiming it: either it is held, or it has begun."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.ids import new_id
from app.engine.runtime import wave_runs
from app.services import runs, waves
from tests.engine.kit import off_loop, wait_until
from tests.engine.waves import FINE, Msp, failing_where, msp_with, published, run_in
from tests.servers import TestStack

_PLACE = "SELECT worker_id FROM run_queue WHERE run_id = %s"
_CLAIM = "UPDATE run_queue SET worker_id = %s, ready_at = NULL, due = false WHERE run_id = %s"
_WAITS = "SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"


async def released(msp: Msp) -> UUID:
    """A run that a wave has set free, with no worker to take it."""
    flow = await published(msp, failing_where())
    wave = await waves.start(msp.me, workflow=flow, mode="apply", to=msp.slugs)
    run = await run_in(msp, wave, "ada")
    await wave_runs.set_free(msp.own["ada"].client_id, run)
    return run


def asked(stack: TestStack, query: str, *values: Any) -> Any:
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        return link.execute(query, values).fetchone()


async def test_what_nobody_has_claimed_leaves_the_queue_and_comes_back(web: TestStack) -> None:
    msp = await msp_with(ada=FINE)
    run, client = await released(msp), msp.own["ada"].client_id
    assert asked(web, _PLACE, run) == (None,)
    assert await wave_runs.hold_back(client, run)
    assert asked(web, _PLACE, run) is None
    view = await runs.get(msp.own["ada"], run)
    assert (view.state, view.reason) == ("waiting", wave_runs.HELD_BACK)
    assert not await wave_runs.hold_back(client, run), "it is held already"
    await wave_runs.set_free(client, run)
    assert asked(web, _PLACE, run) == (None,)
    assert (await runs.get(msp.own["ada"], run)).state == "queued"


async def test_a_claim_that_comes_first_is_waited_for_and_counts(web: TestStack) -> None:
    msp = await msp_with(ada=FINE)
    run = await released(msp)
    with psycopg.connect(web.superuser_dsn) as link:
        link.execute(_CLAIM, (new_id(), run))
        holding = asyncio.create_task(wave_runs.hold_back(msp.own["ada"].client_id, run))
        await off_loop(wait_until, lambda: asked(web, _WAITS) is not None, 20, "the look to wait for the claim")
        link.commit()
    assert not await holding
    assert (await runs.get(msp.own["ada"], run)).state == "queued"


@pytest.mark.parametrize("column", ["started_at", "cancel_requested_at"])
async def test_what_has_begun_or_is_to_stop_is_left_alone(web: TestStack, column: str) -> None:
    msp = await msp_with(ada=FINE)
    run = await released(msp)
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute(f"UPDATE runs SET {column} = now() WHERE id = %s", (run,))
    assert not await wave_runs.hold_back(msp.own["ada"].client_id, run)
    assert asked(web, _PLACE, run) == (None,)
