"""Clients and who may enter them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from app.api.bodies import ClientChange, Grant, Json, Limits, NewClient, NewMember
from app.api.who import InClient, SignedInActor
from app.services import accounts, client_limits, clients
from app.services.accounts import MemberView
from app.services.client_limits import LimitsView
from app.services.clients import ClientDetail, ClientView

router = APIRouter(tags=["clients"])


class CreatedMember(BaseModel):
    """A new account and what its owner needs to sign in; shown this once."""

    id: UUID
    email: str
    name: str
    password: str
    totp_secret: str
    totp_uri: str
    recovery_codes: list[str]


@router.get("/clients")
async def list_clients(actor: SignedInActor) -> list[ClientView]:
    """The clients that the actor may enter, each with the actor's role there."""
    return await clients.clients_of(actor)


@router.get("/clients/{client}")
async def get_client(ctx: InClient) -> ClientDetail:
    """One client."""
    return await clients.get(ctx)


@router.post("/clients/{client}/clients", status_code=201)
async def create_client(ctx: InClient, body: NewClient) -> ClientView:
    """A new client of the MSP; ``{client}`` is the MSP itself."""
    return await clients.create(ctx, **body.model_dump())


@router.patch("/clients/{client}")
async def update_client(ctx: InClient, body: ClientChange) -> ClientDetail:
    """Change what is given."""
    return await clients.update(ctx, **body.model_dump())


@router.put("/clients/{client}/policy")
async def update_policy(ctx: InClient, body: Json) -> ClientDetail:
    """Say which writes need whose approval."""
    return await clients.update_policy(ctx, body)


@router.get("/clients/{client}/limits")
async def get_limits(ctx: InClient) -> LimitsView:
    """What the client may take: runs walked at once, runs begun in a minute, days of history."""
    return await client_limits.get(ctx)


@router.put("/clients/{client}/limits")
async def change_limits(ctx: InClient, body: Limits) -> LimitsView:
    """Set all of them; what is left out has no limit."""
    return await client_limits.change(ctx, **body.model_dump())


@router.get("/clients/{client}/members")
async def list_members(ctx: InClient) -> list[MemberView]:
    """Who may enter this client."""
    return await accounts.list_members(ctx)


@router.post("/clients/{client}/members", status_code=201)
async def create_member(ctx: InClient, body: NewMember) -> CreatedMember:
    """A new account that lives in this client."""
    made = await accounts.create(ctx, **body.model_dump())
    found: dict[str, Any] = made.__dict__
    return CreatedMember(**found)


@router.post("/clients/{client}/members/{account_id}/reset")
async def reset_sign_in(ctx: InClient, account_id: UUID) -> CreatedMember:
    """A new password and second factor for somebody of this client who lost theirs; shown this once."""
    made = await accounts.reset_sign_in(ctx, account_id=account_id)
    found: dict[str, Any] = made.__dict__
    return CreatedMember(**found)


@router.put("/clients/{client}/members", status_code=204)
async def grant(ctx: InClient, body: Grant) -> None:
    """Let an account that is there enter this client, or change its role."""
    await accounts.grant(ctx, email=body.email, role=body.role)


@router.delete("/clients/{client}/members/{account_id}", status_code=204)
async def take_away(ctx: InClient, account_id: UUID) -> None:
    """End a membership."""
    await accounts.take_away(ctx, account_id=account_id)


@router.post("/clients/{client}/members/{account_id}/disable", status_code=204)
async def disable(ctx: InClient, account_id: UUID) -> None:
    """Disable an account that lives in this client; its sessions and tokens end."""
    await accounts.disable(ctx, account_id=account_id)


@router.post("/clients/{client}/members/{account_id}/enable", status_code=204)
async def enable(ctx: InClient, account_id: UUID) -> None:
    """Let a disabled account sign in again."""
    await accounts.enable(ctx, account_id=account_id)
