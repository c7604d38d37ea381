"""The vault client against a real OpenBao: one client's corner opens for that client only."""

from __future__ import annotations

import asyncio

import hvac
import pytest

from app.core.crypto import Undecipherable
from app.core.errors import Missing, Unavailable
from app.core.ids import new_id
from app.core.settings import VaultLogin
from app.data.vault import Vault, get_vault
from tests.servers import TestStack


async def test_a_credential_comes_back_to_web_and_worker(stack: TestStack) -> None:
    client, connection = new_id(), new_id()
    path = await get_vault("web").put_credential(client, "m365", connection, {"client_secret": "canary é"})
    assert path == f"tenant/{client}/platforms/m365/{connection}"
    assert await get_vault("worker").get_credential(client, "m365", connection) == {"client_secret": "canary é"}


async def test_another_client_finds_nothing_under_the_same_path(stack: TestStack) -> None:
    vault, connection = get_vault("web"), new_id()
    mine, other = new_id(), new_id()
    await vault.put_credential(mine, "m365", connection, {"client_secret": "canary"})
    with pytest.raises(Missing):
        await vault.get_credential(other, "m365", connection)
    await vault.delete_credential(other, "m365", connection)
    assert await vault.get_credential(mine, "m365", connection)


async def test_what_was_deleted_is_gone_in_every_version(stack: TestStack) -> None:
    vault, client = get_vault("web"), new_id()
    await vault.put_secret(client, "run/1/create/password", "one")
    await vault.put_secret(client, "run/1/create/password", "two")
    assert await vault.get_secret(client, "run/1/create/password") == "two"
    await vault.delete_secret(client, "run/1/create/password")
    with pytest.raises(Missing):
        await vault.get_secret(client, "run/1/create/password")


async def test_what_is_sealed_for_one_label_opens_for_no_other(stack: TestStack) -> None:
    vault, client = get_vault("web"), new_id()
    sealed = await vault.encrypt(client, "accounts/1/totp", b"seed")
    assert b"seed" not in sealed
    assert await vault.decrypt(client, "accounts/1/totp", sealed) == b"seed"
    for whose, label in ((client, "accounts/2/totp"), (new_id(), "accounts/1/totp")):
        with pytest.raises(Undecipherable):
            await vault.decrypt(whose, label, sealed)


async def test_eight_first_uses_at_once_agree_on_one_data_key(stack: TestStack) -> None:
    vault, client = get_vault("web"), new_id()
    await asyncio.gather(*(vault.put_secret(client, f"x/{n}", str(n)) for n in range(8)))
    assert [await vault.get_secret(client, f"x/{n}") for n in range(8)] == [str(n) for n in range(8)]


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/../b", "", "a b", "a/*", "+"])
async def test_a_path_cannot_leave_the_corner(stack: TestStack, path: str) -> None:
    with pytest.raises(ValueError):
        await get_vault("web").put_secret(new_id(), path, "x")


@pytest.mark.parametrize("part", ["web", "worker"])
def test_the_process_itself_reads_nothing_and_writes_no_policy(stack: TestStack, part: str) -> None:
    login = stack.settings.vault_login(part)
    link = hvac.Client(stack.vault_url)
    link.auth.approle.login(login.role_id, login.secret_id.get_secret_value())
    client = new_id()
    for attempt in (
        lambda: link.read(f"opsloom/data/tenant/{client}/data-key"),
        lambda: link.list(f"opsloom/metadata/tenant/{client}"),
        lambda: link.write_data(f"transit/decrypt/{client}", data={"ciphertext": "vault:v1:x"}),
        lambda: link.sys.create_or_update_policy("opsloom-client", policy='path "*" { capabilities = ["read"] }'),
        lambda: link.auth.token.create(policies=["root"]),
        lambda: link.write_data("auth/token/create/opsloom-client", data={"policies": ["root"]}),
    ):
        with pytest.raises((hvac.exceptions.Forbidden, hvac.exceptions.InvalidRequest)):
            attempt()


async def test_a_vault_that_is_away_is_said_to_be(stack: TestStack) -> None:
    away = Vault("http://127.0.0.1:9", VaultLogin(role_id="x", secret_id="y"))
    with pytest.raises(Unavailable):
        await away.get_secret(new_id(), "x")
    with pytest.raises(Unavailable):
        await Vault(stack.vault_url, VaultLogin(role_id="x", secret_id="y")).get_secret(new_id(), "x")
    assert (await get_vault("web").health())["sealed"] is False
