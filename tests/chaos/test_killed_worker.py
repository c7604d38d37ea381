"""kill -9 between the platform and our commit, for every write of every connector: nothing is lost or done twice."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from app.services import runs
from app.services.run_views import RunView
from connectors.base import WriteAction
from connectors.registry import actions
from connectors.testing import Bench, Sandbox
from tests.engine.kit import (
    NO_POLICY,
    Relay,
    Tenant,
    changing,
    make_tenant,
    off_loop,
    only_step,
    ready_params,
    wait_for,
    wait_until,
)

Json = dict[str, Any]
WRITES = sorted(name for name, kind in actions().items() if isinstance(kind, WriteAction))
# One of each kind: what creates, what gives, what takes several things one by one, what destroys.
BEFORE = ["m365.user.create", "m365.licence.assign", "m365.group.remove_member", "aws.instance.run"]
HOLD_S = 60

# What a platform chooses anew every time: ids, moments, addresses, our attempt's key.
_CHOSEN = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\b(?:i|vol|eni|r|subnet|sg|ami|vpc)-[0-9a-f]{8,17}\b"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.]*(?:Z|[+-]\d\d:\d\d)?"
    r"|\b(?:ip-)?\d{1,3}[.-]\d{1,3}[.-]\d{1,3}[.-]\d{1,3}\b"
    r"|\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b"
)


def without_chosen(value: Any) -> Any:
    """A dump that compares equal with that of the same work done another time.

    What lies under chosen keys becomes a list of pairs, sorted by what they hold: as keys they would all be the same.
    """
    if isinstance(value, dict):
        if any(_CHOSEN.search(key) for key in value):
            return without_chosen([[key, item] for key, item in value.items()])
        return {key: without_chosen(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((without_chosen(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return _CHOSEN.sub("*", value) if isinstance(value, str) else value


class Case:
    """One write action: what an undisturbed apply leaves, then the same as a run."""

    def __init__(self, sandbox: Sandbox, action_id: str, params: Json, expected: Json, writes: int) -> None:
        self.sandbox, self.action_id, self.params = sandbox, action_id, params
        self.expected, self.writes = expected, writes
        self.kind = actions()[action_id]
        self.traceable = sandbox.samples[action_id].traceable

    async def start(self) -> tuple[Tenant, Any]:
        tenant = await make_tenant(NO_POLICY)
        await tenant.connect(self.sandbox)
        flow = await tenant.publish(only_step(self.action_id, self.params))
        self.sandbox.control.clear_log()
        self.before = self.sandbox.control.dump()
        return tenant, await runs.start(tenant.engineer, workflow=flow.id, mode="apply")

    def holding(self, when: str) -> int:
        return self.sandbox.control.fault("timeout", writes=True, when=when, seconds=HOLD_S)


async def case_of(sandbox: Sandbox, action_id: str) -> Case:
    """The case, with the simulator as the action's sample needs it."""
    params = await ready_params(sandbox, action_id)
    bench = Bench(sandbox, sandbox.open())
    await bench.do(action_id, params)
    await bench.client.aclose()
    expected, writes = sandbox.control.dump(), len(changing(sandbox))
    return Case(sandbox, action_id, await ready_params(sandbox, action_id), expected, writes)


def explain(run: RunView) -> Any:
    return run.state, run.reason, [(step.node, step.state, step.error) for step in run.steps]


async def undone(case: Case, tenant: Tenant, run: RunView) -> None:
    """Undo gives back the dump, field by field."""
    reverse = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run.id))
    assert reverse.state == "succeeded", explain(reverse)
    assert case.sandbox.control.dump() == case.before


async def left_to_a_person(case: Case, tenant: Tenant, run_id: Any) -> None:
    """Nobody can look up what was done, so nothing is sent again: the step is unknown and a person is asked."""
    run = await wait_for(tenant.engineer, run_id, ("waiting", "failed", "succeeded"))
    assert (run.state, run.reason and run.reason["code"]) == ("waiting", "unknown"), explain(run)
    (step,) = run.steps
    assert step.state == "unknown", explain(run)
    assert len(case.sandbox.control.writes()) == case.writes
    assert without_chosen(case.sandbox.control.dump()) == without_chosen(case.expected)


@pytest.mark.chaos
@pytest.mark.parametrize("action_id", WRITES)
async def test_killed_after_the_platform_acted(action_id: str, relay: Relay, sandboxes: dict[str, Sandbox]) -> None:
    case = await case_of(sandboxes[action_id.partition(".")[0]], action_id)
    assert relay.runner
    fault = case.holding("after")
    tenant, run_id = await case.start()
    await off_loop(case.sandbox.control.wait_for_write, "", seconds=20)
    relay.runner.kill()
    case.sandbox.control._call("DELETE", f"faults/{fault}")
    await off_loop(lambda: relay.runner)
    if not case.traceable:
        await left_to_a_person(case, tenant, run_id)
        return
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", explain(run)
    (step,) = run.steps
    assert step.adopted or case.writes > 1, "what one write had done is adopted"
    assert len(changing(case.sandbox)) == case.writes, "every write was made, and made once"
    assert without_chosen(case.sandbox.control.dump()) == without_chosen(case.expected)
    planned = next(found["change"] for found in run.plan if found["node"] == "step")
    assert step.change is not None
    assert step.change["before"] == planned["before"], "the before-image is the one from before the write"
    if case.kind.reversible:
        await undone(case, tenant, run)


@pytest.mark.chaos
@pytest.mark.parametrize("action_id", BEFORE)
async def test_killed_before_the_platform_acted(action_id: str, relay: Relay, sandboxes: dict[str, Sandbox]) -> None:
    case = await case_of(sandboxes[action_id.partition(".")[0]], action_id)
    assert relay.runner
    case.holding("before")
    tenant, run_id = await case.start()
    await off_loop(wait_until, case.sandbox.control.writes, 20, "the write to arrive")
    relay.runner.kill()
    case.sandbox.control.clear_faults()
    await off_loop(lambda: relay.runner)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", explain(run)
    assert len(changing(case.sandbox)) == case.writes
    assert without_chosen(case.sandbox.control.dump()) == without_chosen(case.expected)
    await undone(case, tenant, run)
