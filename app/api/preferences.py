"""What a client would prefer: the header ``Prefer`` (RFC 7240). What is not understood is passed over, as it says."""

from __future__ import annotations

import re

LONGEST_WAIT_S = 60
_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=[;,]|$)', re.ASCII | re.IGNORECASE)


def wait_preferred(header: str) -> int | None:
    """How many seconds the client would wait for a result, at most ``LONGEST_WAIT_S``; None where it does not say."""
    found = _WAIT.search(header)
    return min(int(found[1]), LONGEST_WAIT_S) if found else None
