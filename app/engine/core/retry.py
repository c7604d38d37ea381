"""How long to wait before the next try."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from app.engine.core.document import Retry

DEFAULT_RETRY = Retry(attempts=4)
"""What a step without a retry policy gets: a passing fault of the platform did nothing, so trying again is safe."""
MAX_RETRY_AFTER_S = 3600.0


def next_delay(retry: Retry | None, tries: int, error: Mapping[str, Any], rng: Random | None = None) -> float | None:
    """Seconds until the next try, or None when there is none.

    ``tries`` counts the tries made (:attr:`NodeState.tries`). ``error`` is what a connector error's ``as_json`` gives;
    only errors of a remedy that the policy names are tried again: without a policy those whose remedy is to wait, so
    that a refused write is not. What became of a lost write is never guessed. ``retry_after`` of a throttled call is
    the least that is waited.
    """
    policy = retry or DEFAULT_RETRY
    if tries >= policy.attempts or error.get("remedy") not in policy.on:
        return None
    growth = 2 ** (tries - 1) if policy.backoff == "exponential" else 1
    delay = min(policy.delay_s * growth, policy.max_delay_s)
    if policy.jitter:
        # Between half and all of the delay: spread enough to part a herd, never so short that it hammers.
        delay *= 0.5 + (rng or Random()).random() / 2  # noqa: S311 - spreads load, guards nothing
    return max(delay, retry_after(error))


def retry_after(error: Mapping[str, Any]) -> float:
    """Seconds that the platform asked us to wait (0: it did not say), at most an hour."""
    asked = error.get("retry_after") or (error.get("details") or {}).get("retry_after") or 0
    return min(float(asked), MAX_RETRY_AFTER_S) if isinstance(asked, int | float) else 0.0
