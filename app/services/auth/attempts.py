"""Slows down guessing: per account, per unknown name, and per address.

An attempt is counted before it is judged and in a transaction of its own, so that parallel guesses see each other and a
failed sign-in does not roll its own lock back. Success sets the count back.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from app.core.clock import utcnow
from app.core.errors import TooMany
from app.data import counters
from app.data.session import tenant_session

FREE_ATTEMPTS = 4
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 900.0
ADDRESS_WINDOW_S = 900.0
FAILURES_OF_ADDRESS = 30
UNKNOWN_WINDOW_S = 86_400.0

_RESERVE = text("""
    UPDATE accounts
       SET failed_attempts = failed_attempts + 1,
           locked_until = CASE WHEN failed_attempts + 1 > :free
               THEN clock_timestamp() + make_interval(secs =>
                    least(:first * power(2::float8, least(failed_attempts - :free, 30)), :longest))
               END
     WHERE client_id = :client AND id = :account AND coalesce(locked_until <= clock_timestamp(), true)
 RETURNING failed_attempts
""")
_WAIT = text("""
    SELECT greatest(extract(epoch FROM locked_until - clock_timestamp()), 1)::float8
      FROM accounts WHERE client_id = :client AND id = :account
""")
_GIVE_BACK = text("""
    UPDATE accounts SET failed_attempts = greatest(failed_attempts - 1, 0), locked_until = NULL
     WHERE client_id = :client AND id = :account
""")


def wait_after(attempts: int) -> float:
    """Seconds to wait after ``attempts`` failures in a row."""
    if attempts <= FREE_ATTEMPTS:
        return 0.0
    return min(FIRST_WAIT_S * 2 ** min(attempts - FREE_ATTEMPTS - 1, 30), LONGEST_WAIT_S)


async def reserve(client_id: UUID, account_id: UUID) -> int:
    """Count an attempt of this account and give the number of it. Raises TooMany while it is locked."""
    async with tenant_session(client_id) as session:
        connection = await session.connection()
        asked = {
            "client": client_id,
            "account": account_id,
            "free": FREE_ATTEMPTS,
            "first": FIRST_WAIT_S,
            "longest": LONGEST_WAIT_S,
        }
        attempt: int | None = (await connection.execute(_RESERVE, asked)).scalar()
        if attempt is not None:
            return attempt
        wait = (await connection.execute(_WAIT, {"client": client_id, "account": account_id})).scalar()
    raise too_many(float(wait or FIRST_WAIT_S))


async def give_back(client_id: UUID, account_id: UUID) -> None:
    """Take back one reserved attempt that was no guess (the code was left empty)."""
    async with tenant_session(client_id) as session:
        await (await session.connection()).execute(_GIVE_BACK, {"client": client_id, "account": account_id})


async def count_unknown(email_key: str) -> None:
    """The same for a name that nobody has, so that a wait does not tell who exists. Raises TooMany."""
    now = utcnow().timestamp()
    locked = await counters.read_until("sign-in-unknown", email_key)
    if locked > now:
        raise too_many(locked - now)
    found = await counters.count("sign-in-unknown", email_key, window_s=UNKNOWN_WINDOW_S)
    await counters.set_until("sign-in-unknown", email_key, now + wait_after(found.count))


async def check_address(ip: str | None) -> None:
    """Raise TooMany where too many sign-ins from this address failed lately."""
    found = await counters.count("sign-in-failed", ip or "", window_s=ADDRESS_WINDOW_S, by=0)
    if found.count >= FAILURES_OF_ADDRESS:
        raise too_many(found.seconds_left)


async def count_address(ip: str | None) -> None:
    """A sign-in from this address failed."""
    await counters.count("sign-in-failed", ip or "", window_s=ADDRESS_WINDOW_S)


def too_many(wait_s: float) -> TooMany:
    """The answer that says how many seconds to wait."""
    seconds = max(int(wait_s + 0.999), 1)
    return TooMany(
        f"Too many attempts. Try again in {seconds} seconds.",
        code="too_many_attempts",
        params={"retry_after": seconds},
    )
