"""The matrix of a wave: what has ended is read once, and each client's steps by those alone who may read its runs."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from app.core.context import Context
from app.services import wave_matrix, waves
from tests.engine.kit import Worker
from tests.engine.waves import FINE, Msp, failing_where, msp_with, published, reached, states_of
from tests.servers import TestStack

DONE = {"first": "succeeded", "check": "succeeded", "fail": "skipped"}


async def begun(msp: Msp) -> UUID:
    """A wave whose first client, Ada, is over, and whose second, Bob, is held."""
    flow = await published(msp, failing_where())
    to = [context.client_slug for context in msp.own.values()]
    wave = await waves.start(msp.me, workflow=flow, mode="apply", to=to, canary=[msp.slug("ada")], pause_s="manual")
    view = await reached(msp, wave, "waiting")
    assert states_of(view) == {"Ada": "succeeded", "Bob": "held"}
    return wave


async def test_the_history_of_what_is_over_is_read_once(runner: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = wave_matrix.step_states

    async def noted(inside: Context, run_id: UUID) -> dict[str, str]:
        read.append(inside.client_slug)
        return await real(inside, run_id)

    monkeypatch.setattr(wave_matrix, "step_states", noted)
    msp = await msp_with(ada=FINE, bob=FINE)
    wave, matrix = await begun(msp), waves.Matrix()
    looks = []
    for _ in range(2):
        read.clear()
        view = await waves.get(msp.me, wave, matrix=matrix)
        looks.append(list(read))
        assert {target.name: target.steps for target in view.targets} == {"Ada": DONE, "Bob": {}}
    assert looks == [[msp.slug("ada")], []], "Bob's has not begun, and Ada's is over"
    await waves.resume(msp.me, wave)
    await reached(msp, wave, "succeeded")
    for last in ([msp.slug("bob")], []):
        read.clear()
        view = await waves.get(msp.me, wave, matrix=matrix)
        assert read == last
        assert {target.name: target.steps for target in view.targets} == {"Ada": DONE, "Bob": DONE}


async def test_a_run_that_was_tried_again_since_says_how_it_stands_now(web: TestStack, runner: Worker) -> None:
    msp = await msp_with(ada={"fails": True}, bob={"fails": True})
    to = [msp.slug("ada"), msp.slug("bob")]
    wave = await waves.start(msp.me, workflow=await published(msp, failing_where()), mode="apply", to=to, canary=to)
    await reached(msp, wave, "failed")
    with psycopg.connect(web.superuser_dsn) as link:
        link.execute(
            "UPDATE runs SET state = 'succeeded' WHERE id = (SELECT target_run FROM wave_targets"
            " WHERE run_id = %s AND target = %s)",
            [wave, msp.own["ada"].client_id],
        )
    view = await waves.get(msp.me, wave, matrix=waves.Matrix())
    assert {(one.name, one.state, one.now) for one in view.targets} == {
        ("Ada", "failed", "succeeded"),
        ("Bob", "failed", None),
    }
    assert {one.now for one in (await waves.get(msp.me, wave)).targets} == {None}, "only who looks inside knows"


async def test_who_may_not_read_a_clients_runs_sees_no_steps_of_it(web: TestStack, runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE)
    wave = await begun(msp)
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute(
            "UPDATE memberships SET role = 'portal' WHERE client_id = %s AND account_id = %s",
            [msp.own["ada"].client_id, msp.me.actor.account_id],
        )
    view = await waves.get(msp.me, wave, matrix=waves.Matrix())
    ada = next(target for target in view.targets if target.name == "Ada")
    assert (ada.state, ada.steps, ada.undo) == ("succeeded", {}, None)


async def test_nor_what_a_platform_said_there(web: TestStack, runner: Worker) -> None:
    """A run fails with words that name people of its client; who is no member there sees that it failed, and how."""
    msp = await msp_with(ada={"fails": True})
    wave = await waves.start(
        msp.me, workflow=await published(msp, failing_where()), mode="apply", to=[msp.slug("ada")], inputs={}
    )
    (ada,) = (await reached(msp, wave, "failed")).targets
    assert ada.reason is not None
    assert ada.reason["message"] == "Not here."
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute(
            "DELETE FROM memberships WHERE client_id = %s AND account_id = %s",
            [msp.own["ada"].client_id, msp.me.actor.account_id],
        )
    for matrix in (None, waves.Matrix()):
        (ada,) = (await waves.get(msp.me, wave, matrix=matrix)).targets
        assert (ada.state, ada.reason) == ("failed", {"code": ada.reason and ada.reason["code"]})
        assert "Not here." not in ada.model_dump_json()
