"""How old a delivery may be: a copied one is worth nothing after five minutes, and the clocks of two need not agree."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.services.triggers.hooks import TOLERANCE_S, is_recent

NOW = 1_790_000_000


@pytest.mark.parametrize("stamp", [NOW - TOLERANCE_S, NOW - 1, NOW, NOW + 1, NOW + TOLERANCE_S])
def test_what_was_sent_within_the_tolerance_is_recent(stamp: int) -> None:
    assert is_recent(str(stamp), datetime.fromtimestamp(NOW, UTC))


@pytest.mark.parametrize(("stamp", "fraction"), [
    (NOW - TOLERANCE_S - 1, 0.0),
    (NOW - TOLERANCE_S, 0.001),
    (NOW + TOLERANCE_S + 1, 0.0),
    (NOW + TOLERANCE_S + 1, 0.999),
    (0, 0.0),
    (999_999_999_999, 0.0),
])  # fmt: skip
def test_what_lies_outside_of_it_is_not(stamp: int, fraction: float) -> None:
    assert not is_recent(str(stamp), datetime.fromtimestamp(NOW + fraction, UTC))


@pytest.mark.parametrize("stamp", [
    "", "-1", "+1", "1e9", "1.5", " 1790000000", "1790000000\n", "\u0661", "1" * 13, "now",
])  # fmt: skip
def test_what_is_no_whole_number_of_seconds_is_not_either(stamp: str) -> None:
    assert not is_recent(stamp, datetime.fromtimestamp(NOW, UTC))
