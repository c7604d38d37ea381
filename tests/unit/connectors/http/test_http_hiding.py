"""A server that repeats the credential shows it to nobody: no later step, no address, however it is spelt."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from connectors.net import AddressRefused
from tests.unit.connectors.http.test_http_client import SECRET, Network, client, get, reply


async def test_a_server_that_repeats_the_credential_does_not_show_it_to_later_steps() -> None:
    body = json.dumps({"authorization": f"Bearer {SECRET}"}).encode()
    output = await get(client(Network(lambda _: reply(200, body, etag=SECRET, set_cookie=f"a={SECRET}"))))
    assert output.data == {"authorization": "Bearer [secret]"}
    assert SECRET not in output.model_dump_json()
    assert "set-cookie" not in output.headers


@pytest.mark.parametrize("written", [
    lambda text: json.dumps(text).replace("/", "\\/"),
    lambda text: '"' + "".join(f"\\u{ord(sign):04x}" for sign in text) + '"',
])  # fmt: skip
@pytest.mark.parametrize("way", ["bearer", "basic", "header"])
async def test_nor_where_it_is_written_with_escapes(written: Callable[[str], str], way: str) -> None:
    """As PHP writes a slash: the text of the answer does not hold the secret, what is read from it does."""
    secret = 'of/"nobody"\\&</>+'
    network = Network(lambda raw: reply(200, f"[{written(sent_by(raw))}, {{{written(sent_by(raw))}: 1}}]".encode()))
    found = client(network, sign_in=way, secret=SecretStr(secret), username="us", header="x-key")
    output = await get(found)
    shown = str(output.data)
    encoded = base64.b64encode(f"us:{secret}".encode()).decode()
    assert "[secret]" in shown
    assert secret not in shown
    assert encoded not in shown
    plain = await get(found, read_as="text")
    # Every sign escaped is nobody's usual spelling: a text that is not read as JSON keeps it as it is.
    assert "[secret]" in plain.text or "\\u00" in plain.text


def sent_by(raw: bytes) -> str:
    """The credential as the server has got it."""
    lines = raw.decode("latin-1").split("\r\n")
    return next(line.partition(": ")[2] for line in lines if line.lower().startswith(("authorization: ", "x-key: ")))


async def test_nor_in_the_address_that_a_read_was_redirected_to() -> None:
    there = f"https://api.example.com/y?token={SECRET}"
    network = Network(lambda raw: reply(200) if b"/y?" in raw else reply(302, location=there))
    assert (await get(client(network))).url == "https://api.example.com/y?token=[secret]"
    network = Network(lambda _: reply(302, location=f"https://{SECRET}.elsewhere.example/"))
    with pytest.raises(AddressRefused) as refused:
        await get(client(network))
    assert SECRET not in str(refused.value.message)
