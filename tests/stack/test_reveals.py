"""One-time links: looking reveals nothing, revealing happens once, and then the secret is nowhere."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from app.core.clock import utcnow
from app.core.context import Context
from app.core.errors import Forbidden, Missing, Unavailable
from app.core.ids import new_id
from app.core.settings import VaultLogin
from app.data.models.approvals import Reveal
from app.data.models.runs import Run
from app.data.models.workflows import Workflow
from app.data.session import tenant_session
from app.data.vault import Vault, get_vault
from app.services import clients, reveals
from app.services.workflow_views import EMPTY_DOCUMENT
from tests.servers import TestStack
from tests.stack.people import World


async def secret(ctx: Context, *, lasts: timedelta = timedelta(hours=1)) -> Reveal:
    """A generated password as a run leaves it."""
    flow = Workflow(client_id=ctx.client_id, name=f"w {new_id()}", draft=EMPTY_DOCUMENT)
    run = Run(client_id=ctx.client_id, workflow_id=flow.id, document_hash="x", mode="apply", state="succeeded")
    path = f"run/{run.id}/create/password"
    row = Reveal(
        client_id=ctx.client_id, run_id=run.id, node="create", name="password", vault_path=path,
        title={"en": "First password", "fr": "Premier mot de passe"}, expires_at=utcnow() + lasts,
    )  # fmt: skip
    await get_vault("web").put_secret(ctx.client_id, path, "canary-password")
    async with tenant_session(ctx) as session:
        for each in (flow, run, row):
            session.add(each)
            await session.flush()
    return row


def token_of(link: reveals.RevealLink) -> str:
    return link.url.rpartition("/")[2]


@pytest.fixture
async def ctx(world: World) -> Context:
    return await world.context("helpdesk")


async def test_a_link_shows_the_secret_once_and_destroys_it(web: TestStack, ctx: Context) -> None:
    row = await secret(ctx)
    token = token_of(await reveals.create_link(ctx, row.id))
    for _ in range(3):
        assert (await reveals.look(token)).title["fr"] == "Premier mot de passe"
    assert (await reveals.open_link(token, ip="192.0.2.9")).value == "canary-password"
    for verb in (reveals.look(token), reveals.open_link(token, ip=None), reveals.create_link(ctx, row.id)):
        with pytest.raises(Missing):
            await verb
    with pytest.raises(Missing):
        await get_vault("web").get_secret(ctx.client_id, row.vault_path)
    with psycopg.connect(web.superuser_dsn) as link:
        found = link.execute("SELECT row_to_json(r)::text FROM reveals r WHERE id = %s", [row.id]).fetchone()
        event = link.execute("SELECT actor, via, ip FROM audit_events WHERE target = %s AND action = 'secret_revealed'",
                             [f"reveal:{row.id}"]).fetchone()  # fmt: skip
    assert "canary" not in found[0]
    assert event == ("one-time link", "link", "192.0.2.9")


async def test_of_five_at_once_one_sees_it(ctx: Context) -> None:
    token = token_of(await reveals.create_link(ctx, (await secret(ctx)).id))
    found = await asyncio.gather(*(reveals.open_link(token, ip=None) for _ in range(5)), return_exceptions=True)
    assert len([one for one in found if isinstance(one, reveals.Revealed)]) == 1
    assert len([one for one in found if isinstance(one, Missing)]) == 4


async def test_a_new_link_ends_the_old_one(ctx: Context) -> None:
    row = await secret(ctx)
    old = token_of(await reveals.create_link(ctx, row.id))
    new = token_of(await reveals.create_link(ctx, row.id))
    with pytest.raises(Missing):
        await reveals.open_link(old, ip=None)
    assert (await reveals.open_link(new, ip=None)).value == "canary-password"


async def test_it_expires(ctx: Context) -> None:
    row = await secret(ctx, lasts=timedelta(seconds=-1))
    with pytest.raises(Missing):
        await reveals.create_link(ctx, row.id)


async def test_an_unreachable_vault_does_not_spend_the_link(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_of(await reveals.create_link(ctx, (await secret(ctx)).id))
    away = Vault("http://127.0.0.1:9", VaultLogin(role_id="x", secret_id="y"))
    with monkeypatch.context() as patch:
        patch.setattr(reveals, "get_vault", lambda _part: away)
        with pytest.raises(Unavailable):
            await reveals.open_link(token, ip=None)
    assert (await reveals.open_link(token, ip=None)).value == "canary-password"


@pytest.mark.parametrize("token", ["", "x", "a" * 64, "é", "../..", "A" * 63 + "="])
async def test_what_is_no_link_leads_nowhere(web: TestStack, token: str) -> None:
    with pytest.raises(Missing):
        await reveals.look(token)


async def test_links_are_made_by_who_may_and_for_their_own_client(world: World, ctx: Context) -> None:
    row = await secret(ctx)
    with pytest.raises(Forbidden):
        await reveals.create_link(await world.context("viewer"), row.id)
    with pytest.raises(Missing):
        await reveals.create_link(clients.system_context("setup", world.two.id), row.id)
