"""Every read action against its platform's simulator, through the real SDK."""

from __future__ import annotations

import pytest

from connectors.base import ReadAction
from connectors.errors import AuthFailed, NotFound, Retryable, Throttled
from connectors.registry import actions
from connectors.testing import Bench, Sandbox, params_of
from tests.contract.test_suite_manifest import ACTIONS, properties

READS = [name for name in ACTIONS if isinstance(actions()[name], ReadAction)]
CHOICES = sorted(
    {
        (field["x-choices"]["action"], field["x-choices"]["value"], field["x-choices"]["label"])
        for name in ACTIONS
        for _, field in properties(actions()[name].Params.model_json_schema())
        if "x-choices" in field
    }
)


@pytest.mark.parametrize("action_id", ACTIONS)
def test_there_is_a_sample(action_id: str, sandbox: Sandbox) -> None:
    assert action_id in sandbox.samples


@pytest.mark.parametrize("action_id", READS)
async def test_a_read_gives_its_output_and_writes_nothing(action_id: str, bench: Bench) -> None:
    params = await params_of(bench.sandbox.samples[action_id], bench)
    bench.sandbox.control.clear_log()
    output = await bench.read(action_id, params)
    assert isinstance(output, bench.action(action_id).Output)
    assert type(output).model_validate_json(output.model_dump_json()) == output
    assert bench.sandbox.control.log(), "it asked nobody"
    assert bench.sandbox.control.writes() == []


@pytest.mark.parametrize(("action_id", "value", "label"), CHOICES)
async def test_choices_are_there_to_choose_from(action_id: str, value: str, label: str, bench: Bench) -> None:
    output = await bench.read(action_id)
    rows = output.items  # type: ignore[attr-defined]
    assert rows, "the simulator's seeded state has something to choose"
    values = [getattr(row, value) for row in rows]
    assert all(values)
    assert len(set(values)) == len(values)
    assert all(str(getattr(row, label)).strip() for row in rows)


@pytest.mark.parametrize("action_id", READS)
async def test_a_read_says_what_is_missing(action_id: str, bench: Bench) -> None:
    missing = bench.sandbox.samples[action_id].missing
    if missing is None:
        pytest.skip("a list: nothing can be missing")
    with pytest.raises(NotFound):
        await bench.read(action_id, missing)


@pytest.mark.parametrize("action_id", READS)
async def test_errors_come_by_remedy(action_id: str, bench: Bench) -> None:
    sandbox = bench.sandbox
    params = await params_of(sandbox.samples[action_id], bench)
    sandbox.control.fault("throttle", times=None, retry_after=1)
    with pytest.raises(Throttled) as throttled:
        await bench.read(action_id, params)
    assert throttled.value.retry_after > 0
    sandbox.control.clear_faults()
    sandbox.control.fault("error", times=None, status=503)
    with pytest.raises(Retryable):
        await bench.read(action_id, params)
    sandbox.control.clear_faults()
    wrong = Bench(sandbox, sandbox.open(sandbox.wrong_config))
    with pytest.raises(AuthFailed):
        await wrong.read(action_id, params)
    await wrong.client.aclose()
