"""Every writing action against its platform's simulator: plan, apply, again, undo, and answers that get lost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from connectors.base import Applied, Attempt, Change, Done, Json, Planned, World, WriteAction
from connectors.errors import (
    AuthFailed,
    Conflict,
    ConnectorError,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Retryable,
    Throttled,
)
from connectors.registry import actions
from connectors.testing import Bench, Sandbox, new_attempt, params_of
from tests.contract.test_suite_manifest import WRITES, says_both

UNDONE = [name for name in WRITES if actions()[name].reversible]
# Protocols in which a request that was sent leaves no trace that we may look at (connectors.testing.Sample).
UNTRACEABLE = [name for name in WRITES if name.partition(".")[0] in ("http", "mail", "webhook")]
TRACEABLE = [name for name in WRITES if name not in UNTRACEABLE]


class Case:
    """One write action on a bench, with its sample's parameters."""

    def __init__(self, bench: Bench, action_id: str, params: Json) -> None:
        self.bench, self.control, self.params = bench, bench.sandbox.control, params
        self.action: WriteAction[Any, Any] = bench.action(action_id)  # type: ignore[assignment]
        self.sample = bench.sandbox.samples[action_id]
        self.settles = self.sample.settles

    @property
    def typed(self) -> Any:
        return self.action.Params(**self.params)

    async def plan(self, world: World | None = None) -> Planned:
        return await self.action.plan(self.bench.client, self.typed, world or World())

    async def apply(self, change: Change, attempt: Attempt | None = None) -> Applied:
        return await self.action.apply(self.bench.client, self.typed, change, attempt or new_attempt(self.action))

    async def done(self, applied: Applied) -> Done:
        """What the run's history holds of it: all of it went through JSON."""
        change = Change.model_validate_json(applied.change.model_dump_json())
        return Done(params=self.params, change=change, output=json.loads(json.dumps(applied.output)))

    async def undo(self, applied: Applied) -> Done:
        done = await self.done(applied)
        planned = await self.action.plan_undo(self.bench.client, done)
        assert planned.drift is None
        assert planned.change.writes
        await self.action.undo(self.bench.client, done, planned.change, new_attempt(self.action))
        return done


async def case_of(bench: Bench, action_id: str) -> Case:
    """The action with the simulator in the state that its sample needs, and the log empty."""
    params = await params_of(bench.sandbox.samples[action_id], bench)
    bench.sandbox.control.clear_log()
    return Case(bench, action_id, json.loads(json.dumps(params)))


@pytest.mark.parametrize("action_id", WRITES)
def test_only_protocols_without_a_vendor_leave_no_trace(action_id: str, sandbox: Sandbox) -> None:
    assert sandbox.samples[action_id].traceable == (action_id in TRACEABLE)
    assert sandbox.samples[action_id].traceable or not actions()[action_id].reversible


def sealed(change: Change) -> Json:
    """The part of a change that a seal holds."""
    shown = change.model_dump(mode="json", exclude={"volatile"})
    if shown["after"]:
        shown["after"] = {name: value for name, value in shown["after"].items() if name not in change.volatile}
    return shown


@pytest.mark.parametrize("action_id", WRITES)
async def test_a_plan_writes_nothing_and_says_the_same_twice(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    before = case.control.dump()
    first, second = await case.plan(), await case.plan()
    assert first == second
    assert first.change.writes, "the sample is meant to do something"
    assert bool(case.control.log()) == case.sample.asks
    assert case.control.writes() == []
    assert case.control.dump() == before


@pytest.mark.parametrize("action_id", WRITES)
async def test_a_change_is_well_formed(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    planned = await case.plan()
    change = planned.change
    platform = action_id.partition(".")[0]
    assert change.target == change.target.lower()
    assert change.target.startswith(f"{platform}.")
    assert change.target.partition(":")[2]
    assert change.label
    assert (change.before is None) == (change.kind == "create")
    assert (change.after is None) == (change.kind == "delete")
    assert change.reversible == case.action.reversible
    if not change.reversible:
        assert says_both(change.irreversible_reason)
    assert set(planned.output) <= set(case.action.Output.model_fields)
    assert Change.model_validate_json(change.model_dump_json()) == change


@pytest.mark.parametrize("action_id", WRITES)
async def test_apply_does_what_was_planned(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    before = case.control.dump()
    planned = await case.plan()
    applied = await case.apply(planned.change)
    assert sealed(applied.change) == sealed(planned.change)
    assert not applied.adopted
    case.action.Output.model_validate(applied.output)
    assert {name: applied.output[name] for name in planned.output} == planned.output
    assert case.control.dump() != before
    assert any(record["changed"] for record in case.control.writes())


@pytest.mark.parametrize("action_id", WRITES)
async def test_applied_again_it_has_nothing_to_do(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    await case.apply((await case.plan()).change)
    again = await case.plan()
    assert again.change.kind == ("none" if case.settles else again.change.kind)
    assert set(again.output) <= set(case.action.Output.model_fields)


@pytest.mark.parametrize("action_id", WRITES)
async def test_a_plan_sees_what_an_earlier_step_will_do(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    if not case.settles:
        pytest.skip("it acts each time")
    world = World()
    planned = await case.plan(world)
    world.record(planned.change)
    assert (await case.plan(world)).change.kind == "none"


@pytest.mark.parametrize("action_id", UNDONE)
async def test_undo_gives_back_what_was(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    before = case.control.dump()
    applied = await case.apply((await case.plan()).change)
    done = await case.undo(applied)
    assert case.control.dump() == before
    assert (await case.action.plan_undo(bench.client, done)).change.kind == "none"


@pytest.mark.parametrize("action_id", UNDONE)
async def test_planning_an_undo_writes_nothing(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    done = await case.done(await case.apply((await case.plan()).change))
    case.control.clear_log()
    await case.action.plan_undo(bench.client, done)
    assert case.control.writes() == []


@pytest.mark.parametrize("action_id", UNDONE)
async def test_an_undoʼs_plan_sees_what_the_same_undo_takes_back_before(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    done = await case.done(await case.apply((await case.plan()).change))
    world = World()
    change = (await case.action.plan_undo(bench.client, done, world)).change
    if change.kind != "update":
        pytest.skip("the thing itself comes or goes, once in an undo")
    world.record(change)
    assert (await case.action.plan_undo(bench.client, done, world)).change.kind == "none"


async def finish(case: Case, change: Change, attempt: Attempt) -> Applied:
    """What the engine does with a step whose answer was lost: look, and only then do it again with the same key."""
    found = await case.action.recover(case.bench.client, case.typed, change, attempt)
    return found or await case.apply(change, replace(attempt, number=2))


async def writes_of_a_plain_apply(case: Case) -> int:
    await case.apply((await case.plan()).change)
    return len(case.control.writes())


@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize("action_id", TRACEABLE)
async def test_a_lost_answer_is_found_again(action_id: str, when: str, bench: Bench) -> None:
    """The answer to each of the writes of one apply is lost in turn: the end is the same, and nothing is done twice."""
    writes = await writes_of_a_plain_apply(await case_of(bench, action_id))
    for lost in range(1, writes + 1):
        bench.sandbox.reset()
        case = await case_of(bench, action_id)
        planned, attempt = await case.plan(), new_attempt(case.action)
        before = case.control.dump()
        case.control.clear_log()
        case.control.fault("drop", writes=True, every=lost, when=when)
        with pytest.raises(OutcomeUnknown):
            await case.apply(planned.change, attempt)
        case.control.clear_faults()
        applied = await finish(case, planned.change, attempt)
        assert sealed(applied.change) == sealed(planned.change)
        case.action.Output.model_validate(applied.output)
        assert len([record for record in case.control.writes() if record["changed"]]) <= writes
        if writes == 1:
            assert applied.adopted == (when == "after")
        if case.settles:
            assert (await case.plan()).change.kind == "none"
        if case.action.reversible:
            await case.undo(applied)
            assert case.control.dump() == before


@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize("action_id", UNTRACEABLE)
async def test_a_lost_answer_that_nobody_can_look_up_is_said_to_be_unknown(
    action_id: str, when: str, bench: Bench
) -> None:
    """Looking sends nothing that acts, however often: a person is asked, and nothing is done twice."""
    case = await case_of(bench, action_id)
    planned, attempt = await case.plan(), new_attempt(case.action)
    before = case.control.dump()
    case.control.fault("drop", writes=True, when=when)
    with pytest.raises(OutcomeUnknown):
        await case.apply(planned.change, attempt)
    case.control.clear_faults()
    assert (case.control.dump() != before) == (when == "after")
    for _ in range(2):
        with pytest.raises(OutcomeUnknown) as unknown:
            await case.action.recover(bench.client, case.typed, planned.change, attempt)
        assert attempt.key in json.dumps(unknown.value.as_json()), "the person is told what to look for"
    assert len(case.control.writes()) == 1


@pytest.mark.parametrize("action_id", TRACEABLE)
async def test_recovery_finds_nothing_where_nothing_was_done(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    planned = await case.plan()
    assert await case.action.recover(bench.client, case.typed, planned.change, new_attempt(case.action)) is None
    assert case.control.writes() == []


@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize("action_id", UNDONE)
async def test_a_lost_undo_is_found_again(action_id: str, when: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    before = case.control.dump()
    done = await case.done(await case.apply((await case.plan()).change))
    change = (await case.action.plan_undo(bench.client, done)).change
    attempt = new_attempt(case.action)
    case.control.fault("drop", writes=True, when=when)
    with pytest.raises(OutcomeUnknown):
        await case.action.undo(bench.client, done, change, attempt)
    case.control.clear_faults()
    if await case.action.recover_undo(bench.client, done, change, attempt) is None:
        await case.action.undo(bench.client, done, change, replace(attempt, number=2))
    assert case.control.dump() == before


@pytest.mark.parametrize("action_id", WRITES)
async def test_a_refused_write_changes_nothing(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    planned, before = await case.plan(), case.control.dump()
    case.control.fault("throttle", times=None, writes=True, retry_after=2)
    with pytest.raises(Throttled) as throttled:
        await case.apply(planned.change)
    assert throttled.value.retry_after > 0
    case.control.clear_faults()
    case.control.fault("error", times=None, writes=True, status=503)
    with pytest.raises((Retryable, OutcomeUnknown)):
        await case.apply(planned.change)
    assert case.control.dump() == before
    case.control.clear_faults()
    await case.apply(planned.change)
    assert case.control.dump() != before


@pytest.mark.parametrize("action_id", WRITES)
async def test_a_plan_gets_through_a_platform_that_throttles(action_id: str, bench: Bench) -> None:
    """Reads are retried by the SDK: one answer in three says "slow down" and the plan is the same."""
    case = await case_of(bench, action_id)
    undisturbed = await case.plan()
    case.control.fault("throttle", writes=False, every=3, times=None, retry_after=1)
    assert await case.plan() == undisturbed


@pytest.mark.parametrize("action_id", WRITES)
async def test_a_write_is_sent_once(action_id: str, bench: Bench) -> None:
    """The SDK's own retries are off: the first refusal comes back at once."""
    case = await case_of(bench, action_id)
    planned = await case.plan()
    case.control.fault("error", times=None, writes=True, status=503)
    with pytest.raises(ConnectorError):
        await case.apply(planned.change)
    assert len(case.control.writes()) == 1


@pytest.mark.parametrize("action_id", WRITES)
async def test_bad_parameters_are_named_by_the_plan(action_id: str, bench: Bench) -> None:
    sample = bench.sandbox.samples[action_id]
    bench.sandbox.control.clear_log()
    for params, expected in ((sample.missing, (NotFound,)), (sample.rejected, (Rejected, Conflict))):
        if params is None:
            continue
        with pytest.raises(expected) as refused:
            await bench.plan(action_id, params)
        assert refused.value.message
        assert refused.value.field in {None, *bench.action(action_id).Params.model_fields}
    assert bench.sandbox.control.writes() == []


@pytest.mark.parametrize("action_id", WRITES)
async def test_wrong_credentials_are_named_and_not_shown(action_id: str, bench: Bench) -> None:
    sandbox = bench.sandbox
    case = await case_of(bench, action_id)
    wrong = Bench(sandbox, sandbox.open(sandbox.wrong_config))
    with pytest.raises(AuthFailed) as refused:
        await (wrong.plan if case.sample.asks else wrong.do)(action_id, case.params)
    await wrong.client.aclose()
    assert not any(record["changed"] for record in case.control.writes())
    shown = json.dumps(refused.value.as_json()) + repr(refused.value) + repr(wrong.client)
    for name in sandbox.connector.secret_fields():
        assert getattr(sandbox.wrong_config, name).get_secret_value() not in shown


@pytest.mark.parametrize("action_id", WRITES)
async def test_secrets_that_were_made_do_not_come_back(action_id: str, bench: Bench) -> None:
    case = await case_of(bench, action_id)
    planned, attempt = await case.plan(), new_attempt(case.action)
    applied = await case.apply(planned.change, attempt)
    shown = applied.change.model_dump_json() + json.dumps(applied.output) + repr(applied) + repr(attempt)
    for secret in attempt.secrets.values():
        assert secret.get_secret_value() not in shown
