"""The second factor: a code from an authenticator, each one once, or a recovery code, each one once."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core import crypto
from app.core.errors import Invalid, Problem
from app.data.models.people import Account
from app.data.vault import get_vault

ISSUER = "Opsloom"
_INTERVAL_S = 30
_WINDOW = 1  # one code earlier and one later: clocks differ, and people type slowly
_CODE = re.compile(r"\d{6}")

# Compare and set in one statement: of two requests with the same code, one finds the row changed.
_USE_TIMECODE = text("""
    UPDATE accounts SET totp_last_timecode = :timecode
     WHERE client_id = :client AND id = :account
       AND (totp_last_timecode IS NULL OR totp_last_timecode < :timecode)
""")
_USE_RECOVERY = text("""
    UPDATE accounts SET recovery_codes = recovery_codes - CAST(:hash AS text)
     WHERE client_id = :client AND id = :account AND jsonb_exists(recovery_codes, :hash)
""")


class WrongCode(Invalid):
    """The code was wrong, used before, or missing."""

    def __init__(self, code: str, message: str, **params: Any) -> None:
        problem = Problem(code, message, field="otp", params=params)
        super().__init__(message, code=code, params=params, problems=[problem])


@dataclass(frozen=True)
class Secret:
    """A new second factor: shown once, as text and as the address that an authenticator's QR code holds."""

    text: str
    uri: str


def new_secret(email: str) -> Secret:
    """A random secret for the account of ``email``."""
    made = pyotp.random_base32()
    return Secret(text=made, uri=pyotp.TOTP(made).provisioning_uri(name=email, issuer_name=ISSUER))


def present_code(secret: str, *, at: float | None = None) -> str:
    """The code that an authenticator shows now (for the demonstration's accounts and for tests)."""
    return pyotp.TOTP(secret).at(time.time() if at is None else at)


def seconds_left() -> int:
    """How long the present code is still shown."""
    return _INTERVAL_S - int(time.time()) % _INTERVAL_S


async def encrypt_secret(client_id: UUID, account_id: UUID, secret: str) -> bytes:
    """The secret as the account's row keeps it."""
    return await get_vault("web").encrypt(client_id, _label(account_id), secret.encode())


async def secret_of(account: Account) -> str | None:
    """The account's secret, or None where it has no second factor."""
    if account.totp_secret is None:
        return None
    return (await get_vault("web").decrypt(account.client_id, _label(account.id), account.totp_secret)).decode()


def _label(account_id: UUID) -> str:
    return f"accounts/{account_id}/totp"


async def use_code(session: AsyncSession, account: Account, secret: str | None, code: str) -> str:
    """Spend ``code`` in this transaction. Gives ``totp`` or ``recovery``.

    ``secret`` is what :func:`secret_of` gave. Raises WrongCode; then the caller lets the transaction fail.
    """
    typed = code.replace(" ", "")
    if not typed:
        raise WrongCode("code_missing", "Type the code that your authenticator shows.")
    if secret is not None and _CODE.fullmatch(typed):
        await _use_totp(session, account, secret, typed)
        return "totp"
    await _use_recovery(session, account, code)
    return "recovery"


async def _use_totp(session: AsyncSession, account: Account, secret: str, code: str) -> None:
    try:
        timecode = pyotp.TOTP(secret).verify_and_get_timecode(code, valid_window=_WINDOW)
    except OTPVerificationError:
        raise WrongCode("code_wrong", "This code is wrong.") from None
    asked = {"timecode": timecode, "client": account.client_id, "account": account.id}
    if (await (await session.connection()).execute(_USE_TIMECODE, asked)).rowcount != 1:
        wait = seconds_left()
        message = f"This code was used already. Your authenticator shows the next one in {wait} seconds."
        raise WrongCode("code_used", message, retry_after=wait)


async def _use_recovery(session: AsyncSession, account: Account, code: str) -> None:
    asked = {"hash": crypto.recovery_hash(account.id, code), "client": account.client_id, "account": account.id}
    if (await (await session.connection()).execute(_USE_RECOVERY, asked)).rowcount != 1:
        raise WrongCode("code_wrong", "This code is wrong.")
