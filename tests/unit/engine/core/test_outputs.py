"""What a step may give is bounded; what a write did is recorded whatever it gave."""

from __future__ import annotations

import pytest

from app.engine.core.outputs import MAX_OUTPUT, fitting, is_too_big
from app.engine.runtime.stage import bounded_output
from connectors.errors import Rejected


def test_a_usual_output_is_kept_as_it_is() -> None:
    output = {"id": "1", "items": [{"name": "x" * 1000}] * 1000}
    assert not is_too_big(output)
    assert fitting(output) == output
    assert bounded_output(output) is output


@pytest.mark.parametrize(
    "output", [{"text": "x" * (MAX_OUTPUT + 1)}, {"rows": [{"n": number} for number in range(1_000_000)]}]
)
def test_a_huge_one_fails_a_look_and_says_why(output: dict[str, object]) -> None:
    with pytest.raises(Rejected) as refused:
        bounded_output(output)
    assert refused.value.code == "output_too_big"
    assert not refused.value.retryable


def test_a_write_keeps_what_can_be_kept() -> None:
    found = fitting({"id": "i-1", "log": "x" * (MAX_OUTPUT + 1), "state": {"running": True}})
    assert found == {"id": "i-1", "state": {"running": True}}
    assert not is_too_big(found)


def test_many_fields_together_still_fit() -> None:
    assert not is_too_big(fitting({f"f{number}": "x" * 40_000 for number in range(1000)}))


def test_a_number_that_is_too_large_hides_nothing_enormous() -> None:
    """Platforms number their things beyond 2^53."""
    assert not is_too_big({"id": 2**60})
    assert is_too_big({"id": 2**60, "text": "x" * (MAX_OUTPUT + 1)})
    assert "text" not in fitting({"id": 2**60, "text": "x" * (MAX_OUTPUT + 1)})
