"""token create: a bearer token, where the embedded stack is local."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from app.cli.common import Json, emit, local_settings, run

app = typer.Typer()


@app.callback()
def token() -> None:
    """Bearer tokens for the REST API. Only for whoever owns the embedded stack."""


@app.command()
def create(
    account: Annotated[str, typer.Option("--account", help="E-mail of the account.")],
    client: Annotated[str, typer.Option("--client", help="Slug of the one client that it opens.")],
    hours: Annotated[float, typer.Option("--hours", min=0.02, max=8784, help="How long it lasts.")] = 12,
    json: Json = False,
) -> None:
    """Make a token without password or code. It is printed once and cannot be shown again."""
    local_settings()
    made = run(_create(account, client, timedelta(hours=hours)))
    emit(made, as_json=json, human=lambda told: str(told["token"]))


async def _create(account: str, client: str, lifetime: timedelta) -> dict[str, object]:
    from app.services import auth

    made = await auth.issue_local_token(email=account, client_slug=client, lifetime=lifetime)
    return {"id": str(made.id), "token": made.token, "expires_in": made.expires_in}
