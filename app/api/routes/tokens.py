"""Bearer tokens, sessions, and the actor's own account."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from app.api.bodies import Credentials, NewPassword, NewToken, Token
from app.api.who import SignedInActor, address_of, unsigned_limit
from app.services import accounts, auth
from app.services.accounts import Me
from app.services.auth import IssuedToken, SessionView, TokenView

router = APIRouter(prefix="/auth", tags=["sign-in"])


@router.post("/token", dependencies=[Depends(unsigned_limit)])
async def issue_token(request: Request, body: Credentials) -> Token:
    """A bearer token for whoever proves who they are with password and code."""
    made = await auth.issue_token(
        email=body.email,
        password=body.password.get_secret_value(),
        otp=body.otp,
        ip=address_of(request),
        name=body.name,
    )
    return _token(made)


def _token(made: IssuedToken) -> Token:
    return Token(id=made.id, access_token=made.token, expires_in=made.expires_in)


@router.get("/me")
async def me(actor: SignedInActor) -> Me:
    """The actor's own account."""
    return await accounts.me(actor)


@router.post("/password", status_code=204)
async def change_password(actor: SignedInActor, body: NewPassword) -> None:
    """A new password. Every session and token of the account ends, this one too."""
    await accounts.change_password(actor, current=body.current.get_secret_value(), new=body.new.get_secret_value())


@router.get("/tokens")
async def list_tokens(actor: SignedInActor) -> list[TokenView]:
    """One's own tokens."""
    return await auth.list_tokens(actor)


@router.post("/tokens", status_code=201)
async def create_token(actor: SignedInActor, body: NewToken) -> Token:
    """A further token, which can do no more than what it was made with."""
    made = await auth.create_token(
        actor, name=body.name, clients=body.clients, lifetime=timedelta(seconds=body.lifetime_s)
    )
    return _token(made)


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(actor: SignedInActor, token_id: UUID) -> None:
    """End one of one's own tokens."""
    await auth.revoke_token(actor, token_id)


@router.get("/sessions")
async def list_sessions(actor: SignedInActor) -> list[SessionView]:
    """One's own sessions."""
    return await auth.list_sessions(actor)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(actor: SignedInActor, session_id: UUID) -> None:
    """End one of one's own sessions."""
    await auth.end_session(actor, session_id)
