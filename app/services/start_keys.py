"""Idempotency keys: the same start, asked for again, gives the run that it has started."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Stale
from app.data.link import Rows
from app.data.retry import constraint
from app.data.session import tenant_session
from app.data.trips import Ask, in_session

Mode = Literal["plan", "apply"]
_KEY_CONSTRAINT = "runs_idempotency_key"
_EARLIER = """
SELECT r.id, r.workflow_id, w.name, r.mode, r.kind, r.inputs, r.extra ->> 'asked'
  FROM runs r JOIN workflows w ON w.client_id = r.client_id AND w.id = r.workflow_id
 WHERE r.client_id = %s AND r.idempotency_key = %s"""


@dataclass(frozen=True)
class Asked:
    """What a start asks for, as far as a repeated idempotency key must ask for the same.

    ``details`` is all else that the request says (version, plan, rows and so on), as JSON or what a text stands for.
    Where nobody gives them, mode and kind must be the same and the run must have the inputs that are asked for.
    """

    workflow: UUID | str
    mode: Mode
    inputs: Mapping[str, Any]
    key: str | None
    kind: str = "run"
    details: Mapping[str, Any] | None = None

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 (hex) of the request without the workflow, which may be named in two ways; None without details."""
        if self.details is None:
            return None
        whole = {"mode": self.mode, "kind": self.kind, "inputs": self.inputs, **self.details}
        text = json.dumps(whole, sort_keys=True, default=str, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def kept(self) -> dict[str, str]:
        """What the run keeps in its ``extra``, so that the key can be compared; nothing without a key."""
        return {"asked": self.digest} if self.key and self.digest else {}


def asking_earlier(ctx: Context, asked: Asked) -> tuple[Ask, ...]:
    """The statement that finds the run which the key has started; none without a key."""
    return (Ask(_EARLIER, (ctx.client_id, asked.key)),) if asked.key else ()


def earlier_in(rows: Rows, asked: Asked) -> UUID | None:
    """The run that was found. Raises Stale where it was started for something else."""
    if not rows:
        return None
    run_id, workflow_id, name, mode, kind, inputs, digest = rows[0]
    same = str(asked.workflow) in (str(workflow_id), name) and (asked.mode, asked.kind) == (mode, kind)
    if digest is not None and asked.digest is not None:
        same = same and digest == asked.digest
    else:
        # A run of before digests were kept, or one whose start is compared by what it is about.
        same = same and all(inputs.get(key) == value for key, value in asked.inputs.items())
    if not same:
        message = "This idempotency key has started another run. Take a new key for another start."
        raise Stale(message, code="idempotency_other", params={"run": str(run_id)})
    found: UUID = run_id
    return found


async def by_key(session: AsyncSession, ctx: Context, asked: Asked) -> UUID | None:
    """The run that this key has started. Raises Stale where it was started for something else."""
    for ask in asking_earlier(ctx, asked):
        return earlier_in(await in_session(session, ask), asked)
    return None


async def once(ctx: Context, asked: Asked, work: Callable[[AsyncSession], Awaitable[UUID]]) -> UUID:
    """Do it in a transaction of its own. Where somebody starts a run with the same key meanwhile, theirs is the run."""

    async def whole() -> UUID:
        async with tenant_session(ctx) as session:
            return await work(session)

    return await unless_started(ctx, asked, whole)


async def unless_started(ctx: Context, asked: Asked, work: Callable[[], Awaitable[UUID]]) -> UUID:
    """As :func:`once`, for work that makes its transaction itself."""
    try:
        return await work()
    except IntegrityError as error:
        if not asked.key or constraint(error) != _KEY_CONSTRAINT:
            raise
    async with tenant_session(ctx) as session:
        earlier = await by_key(session, ctx, asked)
    if earlier is None:
        raise Stale("A run with this idempotency key has just been started.", code="idempotency_race")
    return earlier
