"""Waves over several clients, each walked in its own client by real workers."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from app.core.errors import Forbidden, Invalid, Stale
from app.core.ids import new_id
from app.services import clients, connections, runs, wave_undos, waves
from connectors.testing import Sandbox
from tests.engine.kit import Relay, Worker, chain, changing, off_loop, wait_for
from tests.engine.waves import BAD, FINE, Msp, failing_where, msp_with, published, reached, states_of

Json = dict[str, Any]
LIAM = "liam.o'connor@sandbox.example"


async def test_stage_after_stage_each_client_in_its_own(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE, dan=FINE)
    flow = await published(msp, failing_where())
    wave = await waves.start(
        msp.me,
        workflow=flow,
        mode="apply",
        to=[context.client_slug for context in msp.own.values()],
        canary=[msp.slug("cyd")],
        percents=[50],
        pause_s="manual",
    )
    view = await reached(msp, wave, "waiting")
    assert view.reason == {"code": "wave_next", "stage": 2}
    assert states_of(view) == {"Ada": "held", "Bob": "held", "Cyd": "succeeded", "Dan": "held"}
    await waves.resume(msp.me, wave)
    view = await reached(msp, wave, "waiting", begun=2)
    assert states_of(view) == {"Ada": "succeeded", "Bob": "held", "Cyd": "succeeded", "Dan": "held"}
    await waves.resume(msp.me, wave)
    view = await reached(msp, wave, "succeeded", "failed")
    assert set(states_of(view).values()) == {"succeeded"}
    matrix = {target.name: target.steps for target in view.targets}
    assert matrix["Ada"] == {"first": "succeeded", "check": "succeeded", "fail": "skipped"}
    for target in view.targets:
        inside = await clients.enter(msp.me.actor, target.client)
        run = await runs.get(inside, target.run)
        assert (run.state, run.workflow_name) == ("succeeded", "Wave")


async def test_a_canary_that_fails_stops_the_wave_until_a_person_goes_on(runner: Worker) -> None:
    msp = await msp_with(ada=BAD, bob=FINE, cyd=FINE)
    flow = await published(msp, failing_where())
    to = [context.client_slug for context in msp.own.values()]
    wave = await waves.start(msp.me, workflow=flow, mode="apply", to=to, canary=[msp.slug("ada")])
    view = await reached(msp, wave, "paused")
    assert view.reason == {"code": "wave_stopped", "count": 1}
    assert states_of(view) == {"Ada": "failed", "Bob": "held", "Cyd": "held"}
    await waves.resume(msp.me, wave)
    view = await reached(msp, wave, "failed", "succeeded")
    assert states_of(view) == {"Ada": "failed", "Bob": "succeeded", "Cyd": "succeeded"}
    assert (view.state, view.reason) == ("failed", {"code": "wave_not_done", "count": 1})


async def test_a_cancelled_wave_says_who_was_not_run(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE)
    flow = await published(msp, failing_where())
    to = [context.client_slug for context in msp.own.values()]
    wave = await waves.start(msp.me, workflow=flow, mode="apply", to=to, canary=[msp.slug("ada")], pause_s="manual")
    await reached(msp, wave, "waiting")
    await waves.cancel(msp.me, wave)
    view = await reached(msp, wave, "cancelled")
    bob = next(target for target in view.targets if target.name == "Bob")
    assert states_of(view)["Ada"] == "succeeded"
    assert (bob.state, bob.reason) == ("not_run", {"code": "wave_cancelled"})
    assert (await runs.get(msp.own["bob"], bob.run)).state == "cancelled"
    with pytest.raises(Stale):
        await waves.resume(msp.me, wave)


async def test_who_cannot_be_run_is_not_silently_left_out(m365: Sandbox, runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE)
    config = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value
        for name, value in m365.config
        if value is not None
    }
    for context in (msp.own["ada"], msp.me):
        await connections.add(context, alias="m365", platform="m365", name="m365", config=config)
    step = {"id": "step", "type": "m365.user.disable", "connection": "m365", "params": {"user": LIAM}}
    flow = await published(msp, chain("Disable", step))
    m365.control.clear_log()
    to = [context.client_slug for context in msp.own.values()]
    plan = await waves.start(msp.me, workflow=flow, mode="plan", to=to)
    view = await reached(msp, plan, "succeeded", "failed")
    bob = next(target for target in view.targets if target.name == "Bob")
    assert (bob.state, bob.run) == ("not_run", None)
    assert [problem["code"] for problem in bob.reason["problems"]] == ["unknown_connection"]
    ada = next(target for target in view.targets if target.name == "Ada")
    assert (ada.state, ada.summary["change"]) == ("succeeded", 1)
    assert not m365.control.writes()

    done = await waves.start(msp.me, workflow=flow, mode="apply", to=to, plan=plan)
    view = await reached(msp, done, "succeeded", "failed")
    assert states_of(view) == {"Ada": "succeeded", "Bob": "not_run"}
    assert len(changing(m365)) == 1


def setting(**more: Any) -> Json:
    """A workflow that changes something without a platform."""
    step = {"id": "set", "type": "flow.set_variable", "params": {"name": "fails", "value": True}}
    return {**chain("Set", step), **more}


async def variables(msp: Msp) -> dict[str, Any]:
    return {name: (await clients.get(own)).variables["fails"] for name, own in msp.own.items()}


async def test_one_idempotency_key_is_one_wave(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE)
    flow = await published(msp, failing_where())
    asked: Json = {"workflow": flow, "mode": "apply", "to": [msp.slug("ada")], "idempotency_key": new_id().hex}
    first, *others = await asyncio.gather(*(waves.start(msp.me, **asked) for _ in range(4)))
    assert set(others) == {first}
    await reached(msp, first, "succeeded")
    assert await waves.start(msp.me, **asked) == first
    assert len(await runs.list_runs(msp.own["ada"])) == 1
    with pytest.raises(Stale) as other:
        await waves.start(msp.me, **{**asked, "to": [msp.slug("bob")]})
    assert other.value.code == "idempotency_other"
    for otherwise in ({"mode": "plan"}, {"canary": [msp.slug("ada")]}, {"pause_s": "manual"}, {"stop_at_percent": 0}):
        with pytest.raises(Stale) as other:
            await waves.start(msp.me, **{**asked, **otherwise})
        assert other.value.code == "idempotency_other"
    assert await waves.start(msp.me, **asked, pause_s=0, percents=[10.0, 50.0]) == first, "as it is asked by itself"


async def test_a_wave_is_taken_back_client_by_client(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=BAD, cyd=FINE)
    flow = await published(msp, setting())
    to = [context.client_slug for context in msp.own.values()]
    wave = await waves.start(msp.me, workflow=flow, mode="apply", to=to, percents=[], pause_s=0)
    await reached(msp, wave, "succeeded")
    assert await variables(msp) == {"ada": True, "bob": True, "cyd": True}
    planned = await wave_undos.undo(msp.me, wave, mode="plan")
    assert [target.undo is not None for target in planned] == [True, False, True]
    done = await wave_undos.undo(msp.me, wave)
    assert {target.name: (target.reason or {}).get("code") for target in done} == {
        "Ada": None,
        "Bob": "nothing_to_undo",
        "Cyd": None,
    }
    for target in done:
        if target.undo:
            inside = await clients.enter(msp.me.actor, target.client)
            assert (await wait_for(inside, target.undo)).state == "succeeded"
    assert await variables(msp) == {"ada": False, "bob": True, "cyd": False}


async def test_a_wave_is_not_taken_back_while_it_goes_on(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE)
    flow = await published(msp, setting())
    to = [context.client_slug for context in msp.own.values()]
    wave = await waves.start(msp.me, workflow=flow, mode="apply", to=to, canary=[msp.slug("ada")], pause_s="manual")
    await reached(msp, wave, "waiting")
    with pytest.raises(Stale) as going:
        await wave_undos.undo(msp.me, wave)
    assert going.value.code == "run_going"
    with pytest.raises(Forbidden):
        await wave_undos.undo(msp.home.approver, wave)
    await waves.cancel(msp.me, wave)
    await reached(msp, wave, "cancelled")
    done = await wave_undos.undo(msp.me, wave)
    assert {target.name: target.undo is not None for target in done} == {"Ada": True, "Bob": False}


async def test_the_runs_of_a_wave_keep_to_the_concurrency_key(runner: Worker) -> None:
    msp = await msp_with(ada=FINE)
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?", "roles": ["approver"]}}
    flow = await published(msp, {**chain("Keyed", ask), "concurrency": {"key": "one", "limit": 1, "policy": "queue"}})
    to = [msp.slug("ada")]
    first = await waves.start(msp.me, workflow=flow, mode="apply", to=to)
    view = await reached(msp, first, "running")
    held = (await waves.get(msp.me, first)).targets[0].run
    await wait_for(msp.own["ada"], held, ("waiting",))
    second = await waves.start(msp.me, workflow=flow, mode="apply", to=to)
    until = time.monotonic() + 40
    while (view := await waves.get(msp.me, second)).targets[0].reason is None:
        assert time.monotonic() < until, states_of(view)
        await asyncio.sleep(0.1)
    (target,) = view.targets
    assert (target.state, target.reason["code"], target.reason["runs"]) == ("queued", "concurrency", [str(held)])
    await runs.cancel(msp.own["ada"], held)
    await wait_for(msp.own["ada"], target.run, ("waiting",))


async def test_killed_in_the_middle_no_client_is_lost_and_none_run_twice(relay: Relay) -> None:
    names = {f"c{number}": FINE for number in range(6)}
    msp = await msp_with(**names)
    flow = await published(msp, failing_where())
    relay.runner  # noqa: B018 - it must live before the wave starts
    to = [context.client_slug for context in msp.own.values()]
    wave = await waves.start(msp.me, workflow=flow, mode="apply", to=to, percents=[17, 50])
    await reached(msp, wave, "running", "waiting", begun=1)
    await off_loop(relay.replace)
    view = await reached(msp, wave, "succeeded", "failed", seconds=60)
    assert view.state == "succeeded"
    for context in msp.own.values():
        assert len(await runs.list_runs(context)) == 1


async def test_tags_choose_the_clients_that_have_them(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=FINE, cyd=FINE)
    mark = new_id().hex
    await clients.update(msp.own["ada"], tags=[mark])
    flow = await published(msp, failing_where())
    wave = await waves.start(msp.me, workflow=flow, mode="apply", tags=[mark], to=[msp.slug("cyd")])
    assert states_of(await reached(msp, wave, "succeeded")) == {"Ada": "succeeded", "Cyd": "succeeded"}


async def test_a_wave_is_refused_as_a_whole(runner: Worker) -> None:
    msp = await msp_with(ada=FINE)
    flow = await published(msp, failing_where())
    with pytest.raises(Invalid) as found:
        await waves.start(msp.me, workflow=flow, to=["nobody", msp.slug("ada")])
    assert [(problem.code, problem.field) for problem in found.value.problems] == [("unknown_client", "to")]
    with pytest.raises(Invalid) as found:
        await waves.start(msp.me, workflow=flow, to=[msp.slug("ada")], canary=["other"], percents=[50, 10])
    assert {problem.field for problem in found.value.problems} == {"canary", "percents"}
    with pytest.raises(Forbidden):
        await waves.start(msp.home.approver, workflow=flow, to=[msp.slug("ada")])


async def test_another_msp_sees_neither_wave_nor_clients(runner: Worker) -> None:
    msp, other = await msp_with(ada=FINE), await msp_with(bob=FINE)
    flow = await published(msp, failing_where())
    wave = await waves.start(msp.me, workflow=flow, mode="apply", to=[msp.slug("ada")])
    assert await waves.list_waves(other.me) == []
    with pytest.raises(Invalid):
        await waves.start(other.me, workflow=flow, to=[msp.slug("ada")])
    await reached(msp, wave, "succeeded")
