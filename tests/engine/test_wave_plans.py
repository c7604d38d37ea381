"""Carrying out what a wave has planned: everybody who was planned, once, and who could not be planned says so."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from app.core.errors import Invalid, Stale
from app.core.ids import new_id
from app.services import runs, waves
from tests.engine.kit import Worker, chain
from tests.engine.waves import FINE, Json, Msp, msp_with, published, reached, states_of

NAMED: Json = {"fails": False, "site": "hq"}


def needing_site() -> Json:
    """A workflow that can be planned in clients that have the variable ``site`` only."""
    step = {"id": "set", "type": "flow.set_variable", "params": {"name": "fails", "value": "{{ client.site == 'hq' }}"}}
    return chain("Sited", step)


async def planned(msp: Msp, *canary: str, percents: tuple[float, ...] = (), priority: str = "normal") -> UUID:
    """A wave's plan that is over, over all clients."""
    flow = await published(msp, needing_site(), site="hq")
    asked: Json = {"canary": [msp.slug(name) for name in canary], "percents": percents, "priority": priority}
    plan = await waves.start(msp.me, workflow=flow, mode="plan", to=msp.slugs, stop_at_percent=100, **asked)
    await reached(msp, plan, "succeeded", "failed", "paused")
    return plan


async def test_who_could_not_be_planned_is_not_run_and_says_so(runner: Worker) -> None:
    msp = await msp_with(ada=NAMED, bob=FINE, cyd=NAMED)
    plan = await planned(msp, "ada")
    view = await reached(msp, plan, "succeeded", "failed")
    assert states_of(view) == {"Ada": "succeeded", "Bob": "not_run", "Cyd": "succeeded"}
    view = await reached(msp, await waves.carry_out(msp.me, plan), "succeeded")
    assert states_of(view) == {"Ada": "succeeded", "Bob": "not_run", "Cyd": "succeeded"}
    bob = next(target for target in view.targets if target.name == "Bob")
    assert bob.reason
    assert (bob.run, bob.reason["code"]) == (None, "plan_unusable")
    assert [run.mode for run in await runs.list_runs(msp.own["bob"])] == []


async def test_a_wave_whose_canary_was_lost_is_refused(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=NAMED)
    plan = await planned(msp, "ada")
    with pytest.raises(Invalid) as refused:
        await waves.carry_out(msp.me, plan)
    assert [(problem.code, problem.field) for problem in refused.value.problems] == [("canary_lost", "canary")]
    assert msp.slug("ada") in refused.value.message
    assert [wave.mode for wave in await waves.list_waves(msp.me)] == ["plan"]


async def test_part_of_a_canary_goes_first_all_the_same(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=NAMED, cyd=NAMED)
    plan = await planned(msp, "ada", "bob")
    view = await reached(msp, await waves.carry_out(msp.me, plan), "succeeded")
    assert {target.name: target.stage for target in view.targets} == {"Ada": 0, "Bob": 0, "Cyd": 1}


async def test_shares_count_who_can_be_run(runner: Worker) -> None:
    msp = await msp_with(ada=FINE, bob=NAMED, cyd=NAMED)
    plan = await planned(msp, percents=(30,))
    view = await reached(msp, await waves.carry_out(msp.me, plan), "succeeded")
    # Had only Ada been in the first stage, nobody would have gone before the others.
    assert {target.name: target.stage for target in view.targets} == {"Ada": 0, "Bob": 0, "Cyd": 1}


async def test_a_plan_that_went_well_nowhere_is_refused(runner: Worker) -> None:
    msp = await msp_with(ada=FINE)
    plan = await planned(msp)
    with pytest.raises(Stale) as refused:
        await waves.carry_out(msp.me, plan)
    assert refused.value.code == "plan_unusable"


async def test_asked_twice_with_one_key_it_is_carried_out_once(runner: Worker) -> None:
    msp = await msp_with(ada=NAMED)
    plan, key = await planned(msp, priority="low"), new_id().hex
    first, second = await asyncio.gather(*(waves.carry_out(msp.me, plan, idempotency_key=key) for _ in range(2)))
    assert first == second
    await reached(msp, first, "succeeded")
    found = await runs.list_runs(msp.own["ada"])
    assert [run.priority for run in found] == ["low", "low"], "the plan, and one run"
