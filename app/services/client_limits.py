"""What a client may take of the installation: runs walked at once, runs begun in a minute, days of history."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from app.core.context import Context
from app.core.errors import Invalid, Problem
from app.core.settings import get_settings
from app.data.models.clients import ClientLimits
from app.data.repositories import audit
from app.data.session import after_commit, tenant_session
from app.engine.runtime.wakeup import wake

MOST = {"max_running": 10_000, "starts_per_minute": 60_000, "history_days": 36_500}


class LimitsView(BaseModel):
    """A client's limits. None: no limit of its own; its history is then kept for ``history_days_default`` days."""

    model_config = ConfigDict(frozen=True)

    max_running: int | None
    starts_per_minute: int | None
    history_days: int | None
    history_days_default: int


async def get(ctx: Context) -> LimitsView:
    """The limits of the context's client."""
    ctx.require("client.read")
    async with tenant_session(ctx) as session:
        return _view(await session.get(ClientLimits, ctx.client_id))


async def change(
    ctx: Context, *, max_running: int | None, starts_per_minute: int | None, history_days: int | None
) -> LimitsView:
    """Set all three; None takes a limit away. Runs that wait for their place in the start rate get new places.

    Raises Invalid naming each number that is not one from 1 to its most.
    """
    ctx.require("client.write")
    wanted = {"max_running": max_running, "starts_per_minute": starts_per_minute, "history_days": history_days}
    _check(wanted)
    async with tenant_session(ctx) as session:
        row = await session.get(ClientLimits, ctx.client_id, with_for_update=True)
        before = {name: getattr(row, name) if row else None for name in wanted}
        row = row or ClientLimits(client_id=ctx.client_id)
        for name, number in wanted.items():
            setattr(row, name, number)
        session.add(row)
        await session.flush()
        if before["starts_per_minute"] != starts_per_minute:
            connection = await session.connection()
            await connection.execute(text("SELECT opsloom_pace_again(:client)"), {"client": ctx.client_id})
        details = {"before": before, "after": wanted}
        await audit.record(
            session, ctx, action="client_limits_updated", target=f"client:{ctx.client_id}", details=details
        )
        after_commit(session, lambda: wake(get_settings().redis_url))
        return _view(row)


def _check(wanted: dict[str, int | None]) -> None:
    problems = [
        Problem("out_of_range", f"{name} is a number from 1 to {MOST[name]}.", field=name, params={"most": MOST[name]})
        for name, number in wanted.items()
        if number is not None and not 1 <= number <= MOST[name]
    ]
    if problems:
        raise Invalid("The limits are wrong.", code="limits_invalid", problems=problems)


def _view(row: ClientLimits | None) -> LimitsView:
    found: dict[str, Any] = {name: getattr(row, name) if row else None for name in MOST}
    return LimitsView(**found, history_days_default=get_settings().history_days)
