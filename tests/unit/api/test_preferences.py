"""Seconds that a client would wait, out of its header."""

from __future__ import annotations

import pytest

from app.api.preferences import wait_preferred


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("wait=10", 10),
        ("Wait = 5", 5),
        ('respond-async, wait="7"', 7),
        ("return=minimal, wait=3; strict", 3),
        ("wait=0", 0),
        ("wait=86400", 60),
        ("wait", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("await=9", None),
        ("wait=٣", None),
    ],
)
def test_what_a_client_would_wait(header: str, seconds: int | None) -> None:
    assert wait_preferred(header) == seconds
