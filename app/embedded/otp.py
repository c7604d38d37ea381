"""Codes of the demo accounts, from the file that only the owner of the embedded stack can read."""

from __future__ import annotations

import time
from typing import Any

import pyotp

from app.core.errors import Missing
from app.core.settings import Settings
from app.embedded.stack import accounts

_FRESH_S = 2  # a code with less than this left would be refused by the time it is typed
_PERIOD_S = 30


def sign_ins(settings: Settings) -> list[dict[str, Any]]:
    """E-mail, password and role of each demo account."""
    return [
        {key: each.get(key, "") for key in ("email", "name", "password", "role", "clients")}
        for each in accounts(settings)
    ]


def code_of(settings: Settings, email: str) -> dict[str, Any]:
    """The current code and how many seconds it is valid. Waits for the next one when it is about to expire.

    Raises Missing where there is no such demo account.
    """
    wanted = email.strip().casefold()
    found = next((each for each in accounts(settings) if each["email"].casefold() == wanted), None)
    if found is None:
        raise Missing(f"demo account {email}")
    left = _PERIOD_S - time.time() % _PERIOD_S
    if left < _FRESH_S:
        time.sleep(left + 0.05)
        left = float(_PERIOD_S)
    return {"email": found["email"], "code": pyotp.TOTP(found["totp_secret"]).now(), "valid_s": int(left)}
