"""What holds a wave, whom it holds, and what lets it go on: too many failures, or a pause by hand or by the clock."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.errors import Stale
from app.services import runs, wave_undos, waves
from tests.engine.kit import Worker, wait_for
from tests.engine.waves import (
    BAD,
    FINE,
    Msp,
    answered,
    asked_in,
    asking_first,
    at_rest,
    failing_where,
    msp_with,
    published,
    reached,
    run_in,
    states_of,
)
from tests.servers import TestStack

Json = dict[str, Any]
KEYED: Json = {"concurrency": {"key": "one", "limit": 1, "policy": "queue"}}


async def started(msp: Msp, document: Json, **more: Any) -> UUID:
    """A wave over all clients, of which ``ada`` goes first."""
    flow = await published(msp, document)
    asked = {"mode": "apply", "to": msp.slugs, "canary": [msp.slug("ada")], **more}
    return await waves.start(msp.me, workflow=flow, **asked)


def forget_stop(stack: TestStack, wave: UUID) -> None:
    """Make the wave one that was stopped before stops were written down."""
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE runs SET extra = extra - 'stopped' WHERE id = %s", (wave,))


@pytest.mark.parametrize("older", [False, True])
async def test_a_stop_stands_until_a_person_goes_on(web: TestStack, runner: Worker, older: bool) -> None:
    others = ["bob", "cyd", "dan", "eve", "fay"]
    msp = await msp_with(**dict.fromkeys(("ada", *others, "gus"), FINE))
    wave = await started(msp, asking_first(), percents=[85], stop_at_percent=20)
    await answered(msp, wave, "ada")
    await reached(msp, wave, "running", begun=2)
    for name in others:
        await asked_in(msp, wave, name)
    await answered(msp, wave, "bob", fine=False)
    assert (await reached(msp, wave, "paused")).reason == {"code": "wave_stopped", "count": 1}
    for name in others[1:]:
        await answered(msp, wave, name)
    # One failure in six is less than a fifth, but nobody has looked at it.
    view = await at_rest(web, msp, wave)
    if older:
        forget_stop(web, wave)
        await waves.pause(msp.me, wave)
        view = await at_rest(web, msp, wave)
    assert (view.state, view.begun, view.reason) == ("paused", 2, {"code": "wave_stopped", "count": 1})
    assert states_of(view)["Gus"] == "held"
    await waves.resume(msp.me, wave)
    await answered(msp, wave, "gus")
    view = await reached(msp, wave, "failed", "succeeded")
    assert (view.state, view.reason) == ("failed", {"code": "wave_not_done", "count": 1})


@pytest.mark.parametrize("by", ["stop", "pause"])
async def test_what_is_queued_and_has_not_begun_is_held_back(web: TestStack, runner: Worker, by: str) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    flow = await published(msp, asking_first(**KEYED))
    first = await waves.start(msp.me, workflow=flow, mode="apply", to=[msp.slug("bob")])
    before = await asked_in(msp, first, "bob")
    asked: Json = {"mode": "apply", "to": msp.slugs, "canary": [msp.slug("ada")], "percents": []}
    wave = await waves.start(msp.me, workflow=flow, **asked)
    await answered(msp, wave, "ada")
    await asked_in(msp, wave, "cyd")
    if by == "stop":
        await answered(msp, wave, "cyd", fine=False)
        reason: Json = {"code": "wave_stopped", "count": 1, "held_back": 1}
    else:
        await waves.pause(msp.me, wave)
        reason = {"code": "wave_paused", "held_back": 1}
    view = await reached(msp, wave, "paused")
    assert view.reason == reason
    bob = next(target for target in view.targets if target.name == "Bob")
    assert (bob.state, bob.reason) == ("held", {"code": "wave_held_back"})
    await runs.cancel(msp.own["bob"], before.id)
    assert (await wait_for(msp.own["bob"], before.id)).state == "cancelled"
    if by == "pause":
        assert states_of(view)["Cyd"] == "waiting", "what has begun goes on"
        await answered(msp, wave, "cyd")
    view = await at_rest(web, msp, wave)
    assert (view.state, states_of(view)["Bob"]) == ("paused", "held")
    inside = await runs.get(msp.own["bob"], await run_in(msp, wave, "bob"))
    assert (inside.state, inside.reason, inside.started_at) == ("waiting", {"code": "wave_held_back"}, None)
    for steer in (runs.pause, runs.resume):
        with pytest.raises(Stale):
            await steer(msp.own["bob"], inside.id)
    await waves.resume(msp.me, wave)
    await answered(msp, wave, "bob")
    assert (await reached(msp, wave, "failed", "succeeded")).state == ("failed" if by == "stop" else "succeeded")


async def test_who_is_held_back_is_not_run_when_the_wave_is_cancelled(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE)
    flow = await published(msp, asking_first(**KEYED))
    first = await waves.start(msp.me, workflow=flow, mode="apply", to=[msp.slug("bob")])
    await asked_in(msp, first, "bob")
    wave = await waves.start(msp.me, workflow=flow, mode="apply", to=msp.slugs, percents=[])
    await asked_in(msp, wave, "ada")
    await waves.pause(msp.me, wave)
    assert states_of(await reached(msp, wave, "paused"))["Bob"] == "held"
    await waves.cancel(msp.me, wave)
    with pytest.raises(Stale) as refused:
        await waves.resume(msp.me, wave)
    assert refused.value.code in ("run_cancelling", "run_over")
    view = await reached(msp, wave, "cancelled")
    assert states_of(view) == {"Ada": "cancelled", "Bob": "not_run"}
    assert (await asked_in(msp, first, "bob")).state == "waiting"


async def test_going_on_after_a_pause_lets_no_further_stage_begin(web: TestStack, runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    wave = await started(msp, asking_first(), percents=[50], pause_s="manual")
    await answered(msp, wave, "ada")
    await at_rest(web, msp, wave)
    await waves.resume(msp.me, wave)
    await asked_in(msp, wave, "bob")
    with pytest.raises(Stale) as refused:
        await waves.resume(msp.me, wave)
    assert refused.value.code == "wave_not_held"
    await waves.pause(msp.me, wave)
    assert (await reached(msp, wave, "paused")).reason == {"code": "wave_paused"}
    await waves.resume(msp.me, wave)
    await reached(msp, wave, "running")
    await answered(msp, wave, "bob")
    view = await at_rest(web, msp, wave)
    assert (view.state, view.begun, view.reason) == ("waiting", 2, {"code": "wave_next", "stage": 3})
    # A pause at this moment holds nothing more, and lifting it answers nothing.
    await waves.pause(msp.me, wave)
    await reached(msp, wave, "paused")
    await waves.resume(msp.me, wave)
    await reached(msp, wave, "waiting")
    view = await at_rest(web, msp, wave)
    assert (view.begun, view.reason) == (2, {"code": "wave_next", "stage": 3})
    await waves.resume(msp.me, wave)
    await answered(msp, wave, "cyd")
    await reached(msp, wave, "succeeded")


async def test_going_on_after_a_pause_accepts_no_failure(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE, dan=FINE)
    wave = await started(msp, asking_first(), percents=[], stop_at_percent=50)
    await answered(msp, wave, "ada")
    for name in ("bob", "cyd", "dan"):
        await asked_in(msp, wave, name)
    await answered(msp, wave, "bob", fine=False)
    await waves.pause(msp.me, wave)
    await reached(msp, wave, "paused")
    await waves.resume(msp.me, wave)
    await reached(msp, wave, "running")
    await answered(msp, wave, "cyd", fine=False)
    # Two of three that ended; with the first forgiven it would be one of two, which is not more than half.
    assert (await reached(msp, wave, "paused")).reason == {"code": "wave_stopped", "count": 2}
    await waves.resume(msp.me, wave)
    await answered(msp, wave, "dan")
    assert (await reached(msp, wave, "failed")).reason == {"code": "wave_not_done", "count": 2}


async def test_a_wave_with_nothing_left_to_begin_ends(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=BAD, cyd=BAD)
    wave = await started(msp, failing_where(), percents=[])
    view = await reached(msp, wave, "failed", seconds=20)
    assert view.reason == {"code": "wave_not_done", "count": 2}
    assert len(await wave_undos.undo(msp.me, wave, mode="plan")) == 3


async def test_a_pause_by_the_clock_is_waited_out(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE)
    wave = await started(msp, failing_where(), percents=[], pause_s=2.0)
    view = await reached(msp, wave, "waiting")
    assert (view.begun, view.reason and view.reason["code"]) == (1, "wave_pause")
    assert states_of(view) == {"Ada": "succeeded", "Bob": "held"}
    view = await reached(msp, wave, "succeeded")
    ada, bob = [await runs.get(msp.own[name], await run_in(msp, wave, name)) for name in ("ada", "bob")]
    assert ada.finished_at is not None
    assert bob.started_at is not None
    assert (bob.started_at - ada.finished_at).total_seconds() >= 2.0


async def test_a_canary_that_could_not_be_run_lets_nobody_go_first_unseen(runner: Worker) -> None:
    """Whoever names who goes first wants to see it go well there, before it goes anywhere else."""
    msp = await msp_with(ada={}, bob=FINE, cleo=FINE)  # what the workflow asks of a client is not there in the first
    flow = await published(msp, failing_where())
    asked: Json = {"workflow": flow, "to": msp.slugs, "canary": [msp.slug("ada")], "percents": [50]}
    wave = await waves.start(msp.me, mode="apply", **asked)
    view = await reached(msp, wave, "paused", "succeeded", "failed")
    assert (view.state, view.reason, view.begun) == ("paused", {"code": "wave_untried"}, 1)
    assert states_of(view) == {"Ada": "not_run", "Bob": "held", "Cleo": "held"}
    await waves.resume(msp.me, wave)
    view = await reached(msp, wave, "succeeded", "failed")
    assert states_of(view) == {"Ada": "not_run", "Bob": "succeeded", "Cleo": "succeeded"}
    plan = await waves.start(msp.me, mode="plan", **asked)
    view = await reached(msp, plan, "succeeded", "failed", "paused")
    assert states_of(view) == {"Ada": "not_run", "Bob": "succeeded", "Cleo": "succeeded"}, "a plan changes nothing"
