"""On whose behalf a trigger starts runs: whoever switched it on, as long as they may."""

from __future__ import annotations

from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Actor, Context, system_actor
from app.data import doors
from app.data.models.clients import Client
from app.data.models.triggers import Trigger
from app.services.permissions import permissions_of

Json = dict[str, Any]


class Stopped(Exception):
    """The trigger may not start anything any more; ``why`` says what has to change."""

    def __init__(self, why: Json) -> None:
        super().__init__(why["code"])
        self.why = why


def permission_for(mode: str) -> str:
    """What a starter needs."""
    return "run.plan" if mode == "plan" else "run.start"


async def client_of(session: AsyncSession, trigger: Trigger) -> Client:
    """The trigger's client. Raises Stopped where it is archived."""
    client = (await session.exec(select(Client).where(Client.client_id == trigger.client_id))).one()
    if client.archived_at is not None:
        raise Stopped({"code": "client_archived"})
    return client


async def starter_of(session: AsyncSession, trigger: Trigger, client: Client, ip: str | None) -> Context:
    """The context of whoever switched the trigger on, as they are now. Raises Stopped where they may not start it."""
    member = next((each for each in await doors.members(session) if each.account_id == trigger.enabled_by), None)
    if member is None or member.disabled_at is not None:
        raise Stopped({"code": "starter_gone", "name": trigger.enabled_by_name})
    permission, held = permission_for(trigger.mode), permissions_of(member.role)
    if permission not in held:
        raise Stopped({"code": "permission_lost", "name": member.name, "permission": permission})
    actor = Actor(account_id=member.account_id, email=member.email, name=member.name, via="trigger", ip=ip)
    return Context(trigger.client_id, client.slug, actor, member.role, held)


def scheduler_context(client: Client) -> Context:
    """The product itself, where no person did it."""
    return Context(client.client_id, client.slug, system_actor("scheduler"), "system")
