"""When a step is tried again."""

from __future__ import annotations

from random import Random

import pytest
from pydantic import ValidationError

from app.engine.core.document import Retry
from app.engine.core.retry import DEFAULT_RETRY, next_delay

BUSY = {"remedy": "Retryable", "code": "platform_unavailable"}
EXACT = Retry(attempts=5, delay_s=2, max_delay_s=10, jitter=False)


@pytest.mark.parametrize(
    ("retry", "tries", "error", "delay"),
    [
        (EXACT, 1, BUSY, 2),
        (EXACT, 2, BUSY, 4),
        (EXACT, 3, BUSY, 8),
        (EXACT, 4, BUSY, 10),
        (EXACT, 5, BUSY, None),
        (EXACT.model_copy(update={"backoff": "fixed"}), 4, BUSY, 2),
        (EXACT, 1, {"remedy": "Throttled", "retry_after": 30}, 30),
        (EXACT, 1, {"remedy": "Throttled", "retry_after": 1}, 2),
        (EXACT, 1, {"remedy": "Throttled", "retry_after": 999_999}, 3600),
        (EXACT, 1, {"remedy": "Throttled", "retry_after": "soon"}, 2),
        (EXACT, 1, {"remedy": "Rejected"}, None),
        (EXACT, 1, {"remedy": "AuthFailed"}, None),
        (EXACT, 1, {"remedy": "OutcomeUnknown"}, None),
        (EXACT, 1, {"remedy": "Conflict"}, None),
        (EXACT, 1, {}, None),
        (EXACT.model_copy(update={"on": ("NotFound",)}), 1, {"remedy": "NotFound"}, 2),
        (EXACT.model_copy(update={"on": ("NotFound",)}), 1, BUSY, None),
        (EXACT.model_copy(update={"on": ("Conflict", "Throttled")}), 1, {"remedy": "Throttled", "retry_after": 9}, 9),
        (EXACT.model_copy(update={"on": ("Rejected",)}), 5, {"remedy": "Rejected"}, None),
        (None, DEFAULT_RETRY.attempts, BUSY, None),
        (Retry(), 1, BUSY, None),
    ],
)
def test_delays(retry, tries, error, delay):
    assert next_delay(retry, tries, error) == delay


def test_jitter_spreads_and_never_hammers():
    rng = Random(7)
    policy = EXACT.model_copy(update={"jitter": True})
    found = [next_delay(policy, 2, BUSY, rng) or 0 for _ in range(200)]
    assert 2 <= min(found) < 2.2
    assert 3.8 < max(found) <= 4


@pytest.mark.parametrize("on", [["OutcomeUnknown"], ["ConnectorError"], [], ["never"], "Conflict"])
def test_what_a_retry_cannot_be_on(on):
    """A write whose answer was lost is never tried blindly, whatever was drawn."""
    with pytest.raises(ValidationError):
        Retry.model_validate({"on": on})


def test_a_step_without_a_policy_is_tried_again():
    assert next_delay(None, 1, BUSY) is not None
