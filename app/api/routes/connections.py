"""A client's links to its platforms."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from app.api.bodies import ConnectionChange, Lookup, NewConnection
from app.api.who import InClient, SignedInActor
from app.services import connections
from app.services.connections import ConnectionView, PlatformView

router = APIRouter(tags=["connections"])


@router.get("/platforms")
async def list_platforms(_actor: SignedInActor) -> list[PlatformView]:
    """What can be connected, with the schema of each one's settings."""
    return connections.platforms()


@router.get("/clients/{client}/connections")
async def list_connections(ctx: InClient) -> list[ConnectionView]:
    """The client's connections, without their secrets."""
    return await connections.list_connections(ctx)


@router.post("/clients/{client}/connections", status_code=201)
async def add(ctx: InClient, body: NewConnection) -> ConnectionView:
    """Connect a platform; the credentials are tried first, and nothing is kept where they are refused."""
    return await connections.add(ctx, **body.model_dump())


@router.get("/clients/{client}/connections/{connection_id}")
async def get(ctx: InClient, connection_id: UUID) -> ConnectionView:
    """One connection."""
    return await connections.get(ctx, connection_id)


@router.patch("/clients/{client}/connections/{connection_id}")
async def update(ctx: InClient, connection_id: UUID, body: ConnectionChange) -> ConnectionView:
    """Rename it, or give it new settings, which are tried first."""
    return await connections.update(ctx, connection_id=connection_id, **body.model_dump())


@router.delete("/clients/{client}/connections/{connection_id}", status_code=204)
async def remove(ctx: InClient, connection_id: UUID) -> None:
    """Take it away and destroy its credential."""
    await connections.remove(ctx, connection_id=connection_id)


@router.post("/clients/{client}/connections/{connection_id}/test")
async def test(ctx: InClient, connection_id: UUID) -> ConnectionView:
    """Sign in afresh and say which permissions are there and which are missing."""
    return await connections.test(ctx, connection_id=connection_id)


@router.post("/clients/{client}/connections/{alias}/choices")
async def choices(ctx: InClient, alias: str, body: Lookup) -> list[dict[str, Any]]:
    """What a read action finds in the client's tenant through the connection of this alias."""
    return await connections.choices(ctx, connection=alias, action=body.action, params=body.params)
