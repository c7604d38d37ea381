"""Connections: the credential only in the vault, tried before it is kept, and used for its own client only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import psycopg
import pytest

from app.core.context import Context
from app.core.errors import Forbidden, Invalid, Missing
from app.core.ids import new_id
from app.core.settings import get_settings
from app.data.vault import get_vault
from app.services import audit as trail
from app.services import clients, connections
from connectors.errors import AuthFailed
from tests.servers import TestStack
from tests.stack.people import World
from tests.stack.platforms import M365


@pytest.fixture
async def ctx(world: World) -> Context:
    return await world.context("engineer")


def alias() -> str:
    return f"m365-{new_id().hex[-8:]}"


async def add(ctx: Context, simulated: M365, slug: str = "contoso", **more) -> connections.ConnectionView:
    given = {"alias": alias(), "platform": "m365", "name": "Contoso", "config": simulated.config(slug), **more}
    return await connections.add(ctx, **given)


async def actions_of(ctx: Context) -> list[str]:
    owner = clients.system_context("setup", ctx.client_id)
    return [event.action for event in (await trail.list_events(owner, limit=200)).events]


async def test_adding_tries_the_credentials_and_keeps_them_in_the_vault_only(
    web: TestStack, ctx: Context, simulated: M365
) -> None:
    config = simulated.config("contoso")
    made = await add(ctx, simulated, config=config)
    assert made.state == "ok"
    assert made.last_test is not None
    assert made.last_test.tenant_name == "Contoso Ltd"
    assert made.platform_tenant == config["tenant_id"]
    assert "User.ReadWrite.All" in made.last_test.granted
    assert "client_secret" not in made.config
    stored = await get_vault("web").get_credential(ctx.client_id, "m365", made.id)
    assert stored == {"client_secret": config["client_secret"]}
    with psycopg.connect(web.superuser_dsn) as link:
        row = link.execute("SELECT row_to_json(c)::text FROM connections c WHERE id = %s", [made.id]).fetchone()
        events = link.execute("SELECT string_agg(details::text, '') FROM audit_events").fetchone()
    assert config["client_secret"] not in row[0] + events[0]


async def test_wrong_credentials_are_answered_with_the_field_and_change_nothing(ctx: Context, simulated: M365) -> None:
    before = await connections.list_connections(ctx)
    wrong = simulated.config("contoso") | {"client_secret": "not the secret"}
    with pytest.raises(Invalid) as error:
        await add(ctx, simulated, config=wrong)
    assert error.value.problems[0].field == "config.client_secret"
    assert error.value.message
    assert await connections.list_connections(ctx) == before
    assert (await actions_of(ctx))[0] == "connection_add_failed"


async def test_a_failed_connection_may_be_kept_and_mended(ctx: Context, simulated: M365) -> None:
    wrong = simulated.config("contoso") | {"client_secret": "not the secret"}
    kept = await add(ctx, simulated, config=wrong, keep_failed=True)
    assert kept.state == "failed"
    assert kept.last_test is not None
    assert kept.last_test.error is not None
    mended = await connections.update(ctx, connection_id=kept.id, config=simulated.config("contoso"))
    assert (mended.state, mended.revision) == ("ok", kept.revision + 1)


@pytest.mark.parametrize(("change", "field"), [
    ({"alias": "Not an alias"}, "alias"),
    ({"name": " "}, "name"),
    ({"platform": "nothing"}, "platform"),
    ({"config": {"tenant_id": "x"}}, "config.tenant_id"),
    ({"config": {}}, "config.client_secret"),
    ({"config": {"endpoint": "https://attacker.example"}}, "config.endpoint"),
])  # fmt: skip
async def test_each_wrong_field_is_named(ctx: Context, simulated: M365, change: dict, field: str) -> None:
    with pytest.raises(Invalid) as error:
        await add(ctx, simulated, **change)
    assert field in {problem.field for problem in error.value.problems}
    assert not [problem for problem in error.value.problems if "pattern" in problem.message], "in words, no expression"


async def test_an_alias_is_used_once_and_free_again_after_removal(ctx: Context, simulated: M365) -> None:
    made = await add(ctx, simulated)
    with pytest.raises(Invalid) as error:
        await add(ctx, simulated, alias=made.alias)
    assert error.value.problems[0].field == "alias"
    await connections.remove(ctx, connection_id=made.id)
    with pytest.raises(Missing):
        await get_vault("web").get_credential(ctx.client_id, "m365", made.id)
    with pytest.raises(Missing):
        await connections.test(ctx, connection_id=made.id)
    assert await add(ctx, simulated, alias=made.alias)


async def test_a_test_says_what_is_missing_and_what_changed(ctx: Context, simulated: M365) -> None:
    made = await add(ctx, simulated)
    tenant = simulated.simulator.tenant(made.config["tenant_id"])
    application = tenant.apps[made.config["client_id"]]
    application.roles.remove("User.ReadWrite.All")
    tested = await connections.test(ctx, connection_id=made.id)
    assert tested.last_test is not None
    assert "User.ReadWrite.All" in tested.last_test.missing
    del tenant.apps[made.config["client_id"]]
    assert (await connections.test(ctx, connection_id=made.id)).state == "failed"


async def test_new_settings_of_another_tenant_are_refused(ctx: Context, simulated: M365) -> None:
    made = await add(ctx, simulated)
    with pytest.raises(Invalid) as error:
        await connections.update(ctx, connection_id=made.id, config=simulated.config("fabrikam"))
    assert error.value.code == "tenant_changed"
    assert (await connections.test(ctx, connection_id=made.id)).state == "ok"


async def test_another_client_neither_sees_nor_opens_it(world: World, ctx: Context, simulated: M365) -> None:
    made = await add(ctx, simulated)
    other = clients.system_context("worker", world.two.id, world.two.slug)
    assert made.id not in {view.id for view in await connections.list_connections(other)}
    for verb in (connections.test, connections.remove, connections.get):
        with pytest.raises(Missing):
            await (verb(other, made.id) if verb is connections.get else verb(other, connection_id=made.id))
    with pytest.raises(AuthFailed):
        await connections.open_client(other, made.alias)
    with pytest.raises(Missing):
        await connections.choices(other, connection=made.alias, action="m365.licence.list")


async def test_opening_for_a_run_is_audited_and_so_is_failing_to(world: World, ctx: Context, simulated: M365) -> None:
    made = await add(ctx, simulated)
    worker = clients.system_context("worker", world.one.id, world.one.slug)
    client = await connections.open_client(worker, made.alias)
    assert client.client_id == world.one.id
    await client.aclose()
    assert (await actions_of(ctx))[0] == "credential_accessed"
    await get_vault("web").delete_credential(ctx.client_id, "m365", made.id)
    with pytest.raises(AuthFailed):
        await connections.open_client(worker, made.alias)
    assert (await actions_of(ctx))[0] == "credential_access_failed"


async def test_choices_are_the_tenants_own_and_kept_for_a_moment(ctx: Context, simulated: M365) -> None:
    made = await add(ctx, simulated)
    rows = await connections.choices(ctx, connection=made.alias, action="m365.licence.list")
    assert "ENTERPRISEPACK" in {row["sku_part_number"] for row in rows}
    seen = len(await actions_of(ctx))
    assert await connections.choices(ctx, connection=made.alias, action="m365.licence.list") == rows
    assert len(await actions_of(ctx)) == seen


async def test_choices_only_ever_look(ctx: Context, simulated: M365) -> None:
    made = await add(ctx, simulated)
    for action in ("m365.user.create", "aws.instance.list", "nothing"):
        with pytest.raises(Invalid):
            await connections.choices(ctx, connection=made.alias, action=action)


@pytest.mark.parametrize("role", ["viewer", "helpdesk", "approver", "portal"])
async def test_only_who_may_change_connections_does(world: World, simulated: M365, role: str) -> None:
    context = await world.context(role)
    with pytest.raises(Forbidden):
        await add(context, simulated)
    with pytest.raises(Forbidden):
        await connections.test(context, connection_id=new_id())
    with pytest.raises(Forbidden):
        await connections.remove(context, connection_id=new_id())


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """The address of a web server that takes everybody in, and the credentials that it was sent."""
    heard: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(str(self.headers.get("authorization")))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()
        thread.join()


async def test_a_stored_secret_is_not_sent_to_a_new_host(ctx: Context) -> None:
    """An engineer may change a connection whose secret nobody can read: not to have it sent to a host of their own."""
    token = "token-that-nobody-reads"
    known = {"hosts": ["api.example.com"], "sign_in": "bearer"}
    with listening() as (honest, told), listening() as (thief, heard):
        endpoints = get_settings().endpoints
        endpoints["http"] = {"api.example.com": honest, "thief.example": thief}
        try:
            made = await connections.add(
                ctx, alias=alias(), platform="http", name="API", config=known | {"secret": token}
            )
            for hosts in (["thief.example"], ["api.example.com", "thief.example"], ["http://api.example.com"]):
                for probe in ("", f"{'http' if ':' in hosts[0] else 'https'}://{hosts[-1].rpartition('/')[2]}/me"):
                    changed = known | {"hosts": hosts, "probe": probe}
                    with pytest.raises(Invalid) as refused:
                        await connections.update(ctx, connection_id=made.id, config=changed)
                    assert [one.field for one in refused.value.problems] == ["config.secret"]
                    assert refused.value.code == "secret_needed_again"
            assert heard == []
            assert told == [f"Bearer {token}"], "only when it was added"
            same = known | {"headers": {"X-Team": "one"}}
            assert (await connections.update(ctx, connection_id=made.id, config=same)).revision == made.revision + 1
            wider = known | {"hosts": ["api.example.com", "thief.example"], "secret": "typed-anew-by-who-knows-it"}
            assert (await connections.update(ctx, connection_id=made.id, config=wider)).state == "ok"
            assert (await connections.update(ctx, connection_id=made.id, config=known)).state == "ok", "fewer hosts"
        finally:
            del endpoints["http"]


async def test_choices_ask_no_address_of_anybodys_own(world: World, ctx: Context) -> None:
    """Whoever may plan may have a form's choices looked up: not any address asked with the client's credential."""
    with listening() as (honest, told):
        endpoints = get_settings().endpoints
        endpoints["http"] = {"api.example.com": honest}
        try:
            config = {"hosts": ["api.example.com"], "sign_in": "bearer", "secret": "token-that-nobody-reads"}
            made = await connections.add(ctx, alias=alias(), platform="http", name="API", config=config)
            told.clear()
            for role in ("helpdesk", "approver", "engineer"):
                with pytest.raises(Invalid) as refused:
                    await connections.choices(
                        await world.context(role),
                        connection=made.alias,
                        action="http.request.get",
                        params={"url": "https://api.example.com/everything/delete"},
                    )
                assert refused.value.problems[0].field == "action"
            assert told == []
        finally:
            del endpoints["http"]
