"""Clients: which ones an account may enter, and what they are called, hold and demand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import IntegrityError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core import metrics
from app.core.context import Actor, Context, system_actor
from app.core.errors import Invalid, Missing, NotSignedIn, Problem
from app.core.ids import new_id
from app.data import doors, entry_doors
from app.data.models.clients import Client, Membership
from app.data.repositories import audit
from app.data.session import door_session, tenant_session
from app.data.vault import get_vault
from app.engine.core.document import excess
from app.services.client_policies import checked_policy
from app.services.permissions import PERMISSIONS, ROLES, permissions_of

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VARIABLE = re.compile(r"[a-z][a-z0-9_]*")
# They are read with every run of the client.
MOST_VARIABLES = 500_000
COLOURS = ("slate", "indigo", "teal", "amber", "rose", "violet", "sky", "green", "orange", "pink")


class ClientView(BaseModel):
    """A client as lists and the switcher show it. ``role`` is the reader's own there."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    slug: str
    name: str
    colour: str
    tags: list[str]
    is_msp: bool
    role: str


class ClientDetail(ClientView):
    """A client with what workflows and runs read of it."""

    variables: dict[str, Any]
    policy: dict[str, Any]


async def clients_of(actor: Actor) -> list[ClientView]:
    """The clients that the actor may enter: the MSP first, then by name. A limited token sees only its own."""
    return [_view(row) for row in await _memberships(actor)]


async def _memberships(actor: Actor) -> list[doors.ClientOfAccount]:
    if actor.account_id is None:
        raise NotSignedIn()
    async with door_session() as session:
        rows = await doors.clients_of(session, actor.account_id)
    return [row for row in rows if row.archived_at is None and _allowed(actor, row.client_id)]


def _allowed(actor: Actor, client_id: UUID) -> bool:
    return actor.clients is None or client_id in actor.clients


async def enter(actor: Actor, slug_or_id: str | UUID) -> Context:
    """The context of the actor inside a client.

    Membership and role are read from the database each time, so that what is taken away ends at once. Raises Missing
    where there is no such client and where the actor is no member of it: the answer is the same.
    """
    if actor.account_id is None:
        raise NotSignedIn()
    return entered(actor, await entry_doors.membership(actor.account_id, str(slug_or_id)))


def entered(actor: Actor, row: doors.ClientOfAccount | None) -> Context:
    """The context of the actor inside the client of a membership that has just been read. Raises as :func:`enter`."""
    if row is not None and row.archived_at is None and _allowed(actor, row.client_id):
        return Context(row.client_id, row.slug, actor, row.role, permissions_of(row.role))
    metrics.authorization_failures.labels("not_a_member").inc()
    raise Missing("client")


def context_of(actor: Actor, client: ClientView) -> Context:
    """The context of the actor inside a client that :func:`clients_of` has just given."""
    return Context(client.id, client.slug, actor, client.role, permissions_of(client.role))


async def find_by_slug(slug: str) -> UUID | None:
    """The id of a client, for the command line of whoever owns this machine. Not for pages or the API."""
    async with door_session() as session:
        return await doors.client_by_slug(session, slug)


def system_context(part: str, client_id: UUID, slug: str = "") -> Context:
    """The context of a part of the product that acts by itself (``setup``, ``scheduler``), with every permission."""
    return Context(client_id, slug, system_actor(part), "system", frozenset(PERMISSIONS))


async def get(ctx: Context) -> ClientDetail:
    """The client of the context."""
    ctx.require("client.read")
    async with tenant_session(ctx) as session:
        return _detail(await _row(session, ctx), ctx.role)


async def create(
    ctx: Context,
    *,
    slug: str,
    name: str,
    colour: str = "slate",
    tags: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
) -> ClientView:
    """A new client of the MSP, whose first owner is whoever creates it. Only from within the MSP's own client.

    Raises Invalid with the field that is wrong or taken.
    """
    ctx.require("client.write")
    async with tenant_session(ctx) as session:
        if not (await _row(session, ctx)).is_msp:
            raise Missing("client")
    return await add_client(ctx.actor, slug=slug, name=name, colour=colour, tags=tags, variables=variables)


async def add_client(
    actor: Actor,
    *,
    slug: str,
    name: str,
    colour: str = "slate",
    tags: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
    is_msp: bool = False,
) -> ClientView:
    """As :func:`create`, without asking who may: for setting up an installation. Not for pages or the API."""
    row = Client(
        client_id=new_id(),
        slug=_checked_slug(slug),
        name=_checked_name(name),
        colour=_checked_colour(colour),
        tags=sorted({tag.strip() for tag in tags if tag.strip()}),
        variables=_checked_variables(variables or {}),
        is_msp=is_msp,
    )
    await get_vault("web").ensure_client(row.client_id)
    context = Context(row.client_id, row.slug, actor, "owner", ROLES["owner"])
    try:
        async with tenant_session(context) as session:
            session.add(row)
            await session.flush()
            if actor.account_id is not None:
                owner = Membership(client_id=row.client_id, account_id=actor.account_id, role="owner")
                session.add(owner)
            await audit.record(session, context, action="client_created", target=f"client:{row.client_id}")
    except IntegrityError:
        message = "There is a client with this short name already."
        raise Invalid(message, code="slug_taken", problems=[Problem("slug_taken", message, field="slug")]) from None
    return _detail(row, "owner")


async def update(
    ctx: Context,
    *,
    name: str | None = None,
    colour: str | None = None,
    tags: Sequence[str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> ClientDetail:
    """Change what is given; None leaves it. Raises Invalid."""
    ctx.require("client.write")
    changed: dict[str, Any] = {}
    if name is not None:
        changed["name"] = _checked_name(name)
    if colour is not None:
        changed["colour"] = _checked_colour(colour)
    if tags is not None:
        changed["tags"] = sorted({tag.strip() for tag in tags if tag.strip()})
    if variables is not None:
        changed["variables"] = _checked_variables(variables)
    return await _change(ctx, changed, "client_updated")


async def update_policy(ctx: Context, policy: Mapping[str, Any]) -> ClientDetail:
    """Say which writes need whose approval; app/engine/core/policy.py has the form. Raises Invalid."""
    ctx.require("client.write")
    return await _change(ctx, {"policy": checked_policy(policy)}, "client_policy_updated")


async def _change(ctx: Context, changed: dict[str, Any], action: str) -> ClientDetail:
    async with tenant_session(ctx) as session:
        row = await _row(session, ctx, lock=True)
        before = {name: getattr(row, name) for name in changed}
        for name, value in changed.items():
            setattr(row, name, value)
        session.add(row)
        details = {"before": before, "after": changed}
        await audit.record(session, ctx, action=action, target=f"client:{ctx.client_id}", details=details)
        return _detail(row, ctx.role)


async def _row(session: AsyncSession, ctx: Context, *, lock: bool = False) -> Client:
    query = select(Client).where(Client.client_id == ctx.client_id)
    # Not against those who only refer to the client, as whoever holds the head of its audit chain is about to do.
    found = (await session.exec(query.with_for_update(key_share=True) if lock else query)).first()
    if found is None:
        raise Missing("client")
    return found


def _checked_slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug) or len(slug) > 63:
        message = "A short name has lower-case letters, digits and hyphens."
        raise Invalid(message, problems=[Problem("slug_invalid", message, field="slug")])
    return slug


def _checked_name(name: str) -> str:
    found = name.strip()
    if not found or len(found) > 200 or not found.isprintable():
        message = "Give the client a name."
        raise Invalid(message, problems=[Problem("missing_param", message, field="name")])
    return found


def _checked_colour(colour: str) -> str:
    if colour not in COLOURS:
        message = f"The colour is one of {', '.join(COLOURS)}."
        raise Invalid(message, problems=[Problem("not_a_choice", message, field="colour")])
    return colour


def _is_json(value: Any) -> bool:
    """Whether it can be kept: JSON has no infinity, and nothing that is no number."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        return False
    return True


def _checked_variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Expressions read them as ``client.name``, so their names are such, and their values plain."""
    problems = [
        Problem("variable_invalid", f"{name} is not a variable's name or value.", field=f"variables.{name}")
        for name, value in variables.items()
        if not (_VARIABLE.fullmatch(name) and isinstance(value, str | int | float | bool | list) and _is_json(value))
    ]
    if problems:
        raise Invalid("Some variables are wrong.", problems=problems)
    if excess(dict(variables), MOST_VARIABLES):
        message = f"The variables take more than {MOST_VARIABLES} characters, are nested too deeply, or hold a number"
        message += " that is not finite or too large."
        raise Invalid(message, problems=[Problem("variables_unfit", message, field="variables")])
    return dict(variables)


def _view(row: doors.ClientOfAccount) -> ClientView:
    return ClientView(
        id=row.client_id,
        slug=row.slug,
        name=row.name,
        colour=row.colour,
        tags=row.tags,
        is_msp=row.is_msp,
        role=row.role,
    )


def _detail(row: Client, role: str) -> ClientDetail:
    return ClientDetail(
        id=row.client_id,
        slug=row.slug,
        name=row.name,
        colour=row.colour,
        tags=row.tags,
        is_msp=row.is_msp,
        role=role,
        variables=row.variables,
        policy=row.policy,
    )
