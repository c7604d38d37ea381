"""Waiting for a machine: states that are on their way, AWS's late visibility, failures to start, and deadlines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.aws import ec2
from connectors.errors import ConnectorError, NotFound, OutcomeUnknown, Rejected

ID = "i-0123456789abcdef0"


class Scripted:
    """An AWS that shows the next state at each look, and a clock that sleeping moves."""

    def __init__(self, *states: str | None, reason: str = "") -> None:
        self._states, self._reason = list(states), reason
        self.clock = datetime(2026, 1, 1, tzinfo=UTC)
        self.looks = 0

    def now(self) -> datetime:
        return self.clock

    async def pages(self, *_: object, **__: object) -> list[dict[str, Any]]:
        state = self._states[min(self.looks, len(self._states) - 1)]
        self.looks += 1
        if state is None:
            return []
        instance = {"InstanceId": ID, "State": {"Name": state}, "StateReason": {"Message": self._reason}}
        return [{"Instances": [instance]}]


@pytest.fixture(autouse=True)
def no_real_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        Scripted.current.clock += timedelta(seconds=seconds)  # type: ignore[attr-defined]

    monkeypatch.setattr(ec2.asyncio, "sleep", sleep)
    return slept


async def wait(aws: Scripted, wanted: str, seconds: float = 120) -> dict[str, Any]:
    Scripted.current = aws  # type: ignore[attr-defined]
    return await ec2.wait_until(aws, ID, wanted, aws.clock + timedelta(seconds=seconds))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        (["running"], "running"),
        (["pending", "pending", "running"], "running"),
        ([None, None, "pending", "running"], "running"),
        (["running", "stopping", "stopped"], "stopped"),
        (["shutting-down", "terminated"], "terminated"),
    ],
)
async def test_the_state_asked_for_is_waited_for(states: list[str | None], wanted: str) -> None:
    aws = Scripted(*states)
    assert (await wait(aws, wanted))["State"]["Name"] == wanted
    assert aws.looks == len(states)


async def test_looks_become_seldom(no_real_time: list[float]) -> None:
    await wait(Scripted(*["pending"] * 12, "running"), "running")
    assert no_real_time == sorted(no_real_time)
    assert no_real_time[0] == 0.3
    assert no_real_time[-1] == 5.0


@pytest.mark.parametrize(
    ("states", "error", "words"),
    [
        (["pending", "terminated"], Rejected, "no more capacity"),
        (["pending"], OutcomeUnknown, "not yet running"),
        ([None], NotFound, "no longer shows"),
    ],
)
async def test_what_never_comes_is_not_waited_for_for_ever(
    states: list[str | None], error: type[ConnectorError], words: str
) -> None:
    aws = Scripted(*states, reason="no more capacity")
    began = aws.clock
    with pytest.raises(error, match=words):
        await wait(aws, "running")
    assert aws.clock - began < timedelta(seconds=120)


@pytest.mark.parametrize(
    ("state", "settled"),
    [("pending", "running"), ("stopping", "stopped"), ("shutting-down", "terminated"), ("running", "running")],
)
def test_a_state_on_its_way_counts_as_the_one_it_leads_to(state: str, settled: str) -> None:
    assert ec2.state_of({"State": {"Name": state}}) == settled


def test_our_tags_and_amazonʼs_are_not_the_clientʼs() -> None:
    row = {
        "Tags": [
            {"Key": "Name", "Value": "a"},
            {"Key": "opsloom:attempt", "Value": "k"},
            {"Key": "aws:cloudformation:stack-name", "Value": "s"},
            {"Key": "Team", "Value": "R&D"},
        ]
    }
    assert ec2.tags_of(row) == {"Name": "a", "Team": "R&D"}
    assert ec2.attempt_of(row) == "k"


def test_a_target_is_the_same_before_and_after_the_machine_exists() -> None:
    instance = {"InstanceId": ID, "Tags": [{"Key": "Name", "Value": "WS-Élodie"}]}
    before = ec2.target_of("eu-west-3", ec2.key_of(None, "WS-Élodie"))
    assert before == ec2.target_of("eu-west-3", ec2.key_of(instance, ID)) == "aws.instance:eu-west-3/ws-élodie"
    assert ec2.target_of("eu-west-3", ec2.key_of({"InstanceId": ID}, "x")) == f"aws.instance:eu-west-3/{ID}"
