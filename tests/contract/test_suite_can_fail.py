"""The suite finds what it is there to find: each of its tests is run over an action that is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from connectors.aws.actions.instance_run import RunInstance
from connectors.base import Action, Applied, Attempt, Change, Done, Planned, World
from connectors.http.actions.request_send import SendRequest
from connectors.testing import Bench, new_attempt
from tests.contract import test_suite_writes as suite

RUN = "aws.instance.run"


class PlansByDoing(RunInstance):
    """Its plan tries the write."""

    async def plan(self, client: Any, params: Any, world: World) -> Planned:
        planned = await super().plan(client, params, world)
        if planned.change.writes:
            await super().apply(client, params, planned.change, new_attempt(self))
        return planned


class DoesSomethingElse(RunInstance):
    """It makes a smaller machine than it said."""

    async def apply(self, client: Any, params: Any, change: Change, attempt: Attempt) -> Applied:
        smaller = change.model_copy(update={"after": {**(change.after or {}), "instance_type": "t3.nano"}})
        return await super().apply(client, params, smaller, attempt)


class UndoesNothing(RunInstance):
    async def undo(self, client: Any, done: Done, change: Change, attempt: Attempt) -> Applied:
        return Applied(change)


class ForgetsItsAttempt(RunInstance):
    """After a lost answer it makes a second machine."""

    async def recover(self, client: Any, params: Any, change: Change, attempt: Attempt) -> Applied | None:
        return None


class AdoptsAnything(RunInstance):
    """After a lost answer it takes any machine of that name for its own."""

    async def recover(self, client: Any, params: Any, change: Change, attempt: Attempt) -> Applied | None:
        shown = {name: (change.after or {})[name] for name in ("name", "state", "instance_type", "image_id")}
        return Applied(change, {**shown, "instance_id": "i-0"}, adopted=True)


class SeesNoEarlierStep(RunInstance):
    async def plan(self, client: Any, params: Any, world: World) -> Planned:
        return await super().plan(client, params, World())


class Broken(Bench):
    """A bench whose action is another."""

    instead: Action[Any, Any]
    named = RUN

    def action(self, action_id: str) -> Action[Any, Any]:
        return self.instead if action_id == self.named else super().action(action_id)


Test = Callable[..., Coroutine[Any, Any, None]]
FINDS: list[tuple[type[RunInstance], Test, dict[str, str]]] = [
    (PlansByDoing, suite.test_a_plan_writes_nothing_and_says_the_same_twice, {}),
    (DoesSomethingElse, suite.test_apply_does_what_was_planned, {}),
    (DoesSomethingElse, suite.test_a_lost_answer_is_found_again, {"when": "before"}),
    (UndoesNothing, suite.test_undo_gives_back_what_was, {}),
    (ForgetsItsAttempt, suite.test_a_lost_answer_is_found_again, {"when": "after"}),
    (AdoptsAnything, suite.test_a_lost_answer_is_found_again, {"when": "before"}),
    (AdoptsAnything, suite.test_recovery_finds_nothing_where_nothing_was_done, {}),
    (SeesNoEarlierStep, suite.test_a_plan_sees_what_an_earlier_step_will_do, {}),
]


@pytest.mark.parametrize("platform", ["aws"])
@pytest.mark.parametrize(
    ("kind", "test", "given"), FINDS, ids=[f"{kind.__name__}-{test.__name__}" for kind, test, _ in FINDS]
)
async def test_a_broken_action_fails(
    kind: type[RunInstance], test: Test, given: dict[str, str], platform: str, bench: Bench
) -> None:
    broken = Broken(bench.sandbox, bench.client)
    broken.instead = kind()
    with pytest.raises(AssertionError):
        await test(action_id=RUN, bench=broken, **given)


@pytest.mark.parametrize("platform", ["aws"])
@pytest.mark.parametrize(("test", "given"), [(test, given) for _, test, given in FINDS])
async def test_the_sound_action_passes(test: Test, given: dict[str, str], platform: str, bench: Bench) -> None:
    """So that a failure above is the broken action's, not the bench's."""
    same = Broken(bench.sandbox, bench.client)
    same.instead = RunInstance()
    await test(action_id=RUN, bench=same, **given)


class SendsAgain(SendRequest):
    """After a lost answer it sends once more and hopes."""

    async def recover(self, client: Any, params: Any, change: Change, attempt: Attempt) -> Applied | None:
        return await self.apply(client, params, change, attempt)


class TakesItForDone(SendRequest):
    async def recover(self, client: Any, params: Any, change: Change, attempt: Attempt) -> Applied | None:
        return Applied(change, adopted=True)


class TriesWhilePlanning(SendRequest):
    async def plan(self, client: Any, params: Any, world: World) -> Planned:
        planned = await super().plan(client, params, world)
        await self.apply(client, params, planned.change, new_attempt(self))
        return planned


@pytest.mark.parametrize("platform", ["http"])
@pytest.mark.parametrize(
    ("kind", "test", "given"),
    [
        (SendsAgain, suite.test_a_lost_answer_that_nobody_can_look_up_is_said_to_be_unknown, {"when": "after"}),
        (TakesItForDone, suite.test_a_lost_answer_that_nobody_can_look_up_is_said_to_be_unknown, {"when": "before"}),
        (TriesWhilePlanning, suite.test_a_plan_writes_nothing_and_says_the_same_twice, {}),
    ],
)
async def test_a_request_that_is_broken_fails(
    kind: type[SendRequest], test: Test, given: dict[str, str], platform: str, bench: Bench
) -> None:
    broken = Broken(bench.sandbox, bench.client)
    broken.instead, broken.named = kind(), "http.request.send"
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await test(action_id=broken.named, bench=broken, **given)
