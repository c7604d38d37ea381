"""Requests to hosts that a client chose: where they go, what goes with them, what comes back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpcore
import pytest
from pydantic import SecretStr

from connectors.base import Environment
from connectors.errors import (
    AuthFailed,
    Conflict,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Retryable,
    Throttled,
)
from connectors.http.actions.request_get import GetRequest
from connectors.http.actions.request_send import SendRequest
from connectors.http.client import HttpClient
from connectors.http.config import HttpConfig
from connectors.net import AddressRefused
from connectors.testing import new_attempt
from tests.unit.connectors.test_net import Names

PUBLIC, OTHER = "93.184.215.14", "93.184.215.15"
SECRET = "the-secret-of-nobody"


class Stream(httpcore.AsyncNetworkStream):
    """One connection over which one answer comes, once the request is there."""

    def __init__(self, network: Network, address: str) -> None:
        self._network, self._address, self._sent, self._answer = network, address, b"", b""

    async def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        self._sent += buffer

    async def read(self, max_bytes: int, *_: Any, **__: Any) -> bytes:
        if self._sent:
            self._network.seen.append((self._address, self._sent))
            self._answer, self._sent = self._network.answer(self._sent), b""
        if self._answer == LOST:
            raise httpcore.ReadError
        part, self._answer = self._answer[:max_bytes], self._answer[max_bytes:]
        return part

    async def start_tls(self, ssl_context: Any, server_hostname: str | None = None, **_: Any) -> Stream:
        self._network.named.append(server_hostname)
        return self

    async def aclose(self) -> None:
        pass

    def get_extra_info(self, info: str) -> Any:
        return None


LOST = b"!"


@dataclass
class Network(httpcore.AsyncNetworkBackend):
    """What is at the other end. ``connected`` are the addresses, ``named`` the hosts that TLS was asked to prove."""

    answer: Callable[[bytes], bytes]
    away: tuple[str, ...] = ()
    connected: list[tuple[str, int]] = field(default_factory=list)
    named: list[str | None] = field(default_factory=list)
    seen: list[tuple[str, bytes]] = field(default_factory=list)

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> Stream:
        self.connected.append((host, port))
        if host in self.away:
            raise httpcore.ConnectError
        return Stream(self, host)

    async def sleep(self, seconds: float) -> None:
        pass


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    given = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def client(network: Network, names: Names | None = None, **config: Any) -> HttpClient:
    given = {"hosts": ["api.example.com", "*.example.net"], "sign_in": "bearer", "secret": SecretStr(SECRET), **config}
    return HttpClient(uuid4(), HttpConfig(**given), Environment(), resolver=names or Names([PUBLIC]), backend=network)


async def get(found: HttpClient, url: str = "https://api.example.com/x", **params: Any) -> Any:
    return await GetRequest().read(found, GetRequest.Params(url=url, **params))


async def send(found: HttpClient, url: str = "https://api.example.com/x", **params: Any) -> Any:
    action, typed = SendRequest(), SendRequest.Params(url=url, **params)
    planned = await action.plan(found, typed, None)  # type: ignore[arg-type]
    return await action.apply(found, typed, planned.change, new_attempt(action))


def sent(network: Network, place: int = -1) -> tuple[str, dict[str, str], bytes]:
    """Request line, headers and body of one request."""
    head, _, body = network.seen[place][1].partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    return first, dict(line.split(": ", 1) for line in rest), body


async def test_what_was_judged_is_what_is_connected_to() -> None:
    """The name server changes its answer after the check: the connection does not ask it again."""
    names, network = Names([PUBLIC], ["127.0.0.1"]), Network(lambda _: reply())
    found = client(network, names)
    await get(found)
    assert network.connected == [(PUBLIC, 443)]
    assert network.named == ["api.example.com"], "TLS proves the name, not the address"
    assert names.asked == 1
    with pytest.raises(AddressRefused):
        await get(found)
    assert network.connected == [(PUBLIC, 443)]


async def test_addresses_are_tried_in_turn() -> None:
    network = Network(lambda _: reply(), away=(PUBLIC,))
    await get(client(network, Names([PUBLIC, OTHER])))
    assert network.connected == [(PUBLIC, 443), (OTHER, 443)]


async def test_a_host_that_cannot_be_reached_was_sent_nothing() -> None:
    network = Network(lambda _: reply(), away=(PUBLIC,))
    with pytest.raises(Retryable, match="nothing was sent"):
        await send(client(network))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "https://api.example.com.evil.example/",
        "https://evil-example.net/",
        "https://example.net/",
        "https://api.example.com:8443/",
        "http://api.example.com/",
        "https://api.example.com@evil.example/",
        "https://user:pass@api.example.com/",
        "https://api.example.com\\@evil.example/",
        "https://evil.example/#@api.example.com",
        "https://2130706433/",
        "https://[::1]/",
        "ftp://api.example.com/",
        "file:///etc/passwd",
        "//api.example.com/",
        "https://api.example.com/a b",
        "https://api.example.com/\r\nHost: evil.example",
        "not an address",
    ],
)
async def test_an_address_outside_the_list_is_refused_before_anything_is_asked(url: str) -> None:
    names, network = Names([PUBLIC]), Network(lambda _: reply())
    for call in (get, send):
        with pytest.raises(Rejected) as refused:
            await call(client(network, names), url)
        assert refused.value.field in ("url", None)
    assert (names.asked, network.connected) == (0, [])


@pytest.mark.parametrize(
    "url",
    [
        "https://API.example.com./x",
        "https://a.example.net/",
        "https://a.b.example.net:443/",
        "https://bücher.example.net/",
    ],
)
async def test_an_address_inside_the_list_is_asked(url: str) -> None:
    network = Network(lambda _: reply())
    await get(client(network), url)
    assert network.connected == [(PUBLIC, 443)]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    network = Network(lambda _: reply())
    await get(client(network))
    assert network.connected == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        ({}, "authorization", f"Bearer {SECRET}"),
        ({"sign_in": "basic", "username": "anna"}, "authorization", "Basic YW5uYTp0aGUtc2VjcmV0LW9mLW5vYm9keQ=="),
        ({"sign_in": "header", "header": "X-Api-Key"}, "x-api-key", SECRET),
        ({"sign_in": "none"}, "authorization", None),
    ],
)
async def test_the_credential_goes_where_the_connection_says(config: Any, name: str, value: str | None) -> None:
    network = Network(lambda _: reply())
    await get(client(network, headers={"X-Team": "msp"}, **config), headers={"Accept": "application/json"})
    _, headers, _ = sent(network)
    assert headers.get(name) == value
    assert (headers["host"], headers["x-team"], headers["accept"]) == ("api.example.com", "msp", "application/json")


async def test_a_stepʼs_header_does_not_replace_the_credential() -> None:
    network = Network(lambda _: reply())
    await get(client(network, sign_in="header", header="X-Api-Key"), headers={"x-API-key": "mine"})
    assert sent(network)[1]["x-api-key"] == SECRET


def redirecting(*to: str) -> Callable[[bytes], bytes]:
    """Answers with one redirect after the other, then plainly."""
    left = list(to)
    return lambda _: reply(302, b"", location=left.pop(0)) if left else reply(200, b'{"end": true}')


async def test_a_redirect_to_the_same_host_keeps_the_credential() -> None:
    network = Network(redirecting("/y?z=1", "https://api.example.com/w"))
    output = await get(client(network))
    assert (output.data, output.url) == ({"end": True}, "https://api.example.com/w")
    assert [sent(network, place)[1].get("authorization") for place in range(3)] == [f"Bearer {SECRET}"] * 3
    assert sent(network, 1)[0] == "GET /y?z=1 HTTP/1.1"


async def test_a_redirect_to_another_allowed_host_takes_no_credential_along() -> None:
    network = Network(redirecting("https://files.example.net/y", "https://api.example.com/back"))
    await get(client(network, headers={"X-Team": "msp"}), headers={"X-Case": "7"})
    assert [sent(network, place)[1].get("authorization") for place in range(3)] == [f"Bearer {SECRET}", None, None]
    assert [sent(network, place)[1].get("x-case") for place in range(3)] == ["7", None, None]
    assert [sent(network, place)[1].get("x-team") for place in range(3)] == ["msp"] * 3


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "http://api.example.com/",
        "https://api.example.com:22/",
        "//evil.example/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:8200/v1/sys/health",
        "http://[::ffff:169.254.169.254]/",
        "file:///etc/passwd",
        "https://user@api.example.com/",
    ],
)
async def test_a_redirect_out_of_the_list_is_not_followed(to: str) -> None:
    network = Network(redirecting(to))
    with pytest.raises(AddressRefused) as refused:
        await get(client(network))
    assert refused.value.code == "redirect_refused"
    assert len(network.seen) == 1


async def test_every_redirect_is_resolved_and_judged_anew() -> None:
    """The host is allowed and was public a moment ago."""
    names, network = Names([PUBLIC], ["169.254.169.254"]), Network(redirecting("https://files.example.net/y"))
    with pytest.raises(AddressRefused) as refused:
        await get(client(network, names))
    assert refused.value.code == "address_refused"
    assert network.connected == [(PUBLIC, 443)]


async def test_redirects_end() -> None:
    network = Network(lambda _: reply(302, b"", location="/again"))
    with pytest.raises(Rejected, match="too often"):
        await get(client(network))
    assert len(network.seen) == 6


@pytest.mark.parametrize(
    ("status", "expected"), [(301, Rejected), (307, Rejected), (302, OutcomeUnknown), (303, OutcomeUnknown)]
)
async def test_a_write_follows_no_redirect(status: int, expected: type[Exception]) -> None:
    network = Network(lambda _: reply(status, b"", location="https://api.example.com/y"))
    with pytest.raises(expected):
        await send(client(network), data={"a": 1})
    assert len(network.seen) == 1


@pytest.mark.parametrize(
    ("status", "read", "write"),
    [
        (400, Rejected, Rejected),
        (401, AuthFailed, AuthFailed),
        (403, AuthFailed, AuthFailed),
        (404, NotFound, NotFound),
        (409, Conflict, Conflict),
        (410, NotFound, NotFound),
        (422, Rejected, Rejected),
        (429, Throttled, Throttled),
        (500, Retryable, OutcomeUnknown),
        (502, Retryable, OutcomeUnknown),
        (503, Retryable, Retryable),
        (504, Retryable, OutcomeUnknown),
    ],
)
async def test_a_status_is_an_error_by_its_remedy(status: int, read: type[Exception], write: type[Exception]) -> None:
    network = Network(lambda _: reply(status, f'{{"token": "{SECRET}"}}'.encode()))
    for call, expected in ((get, read), (send, write)):
        with pytest.raises(expected) as refused:
            await call(client(network))
        assert type(refused.value) is expected
        assert SECRET not in json.dumps(refused.value.as_json())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "Sun, 22 Nov 2026 20:00:30 GMT", "date": "Sun, 22 Nov 2026 20:00:00 GMT"}, 30),
        ({"retry_after": "999999"}, 3600),
        ({"retry_after": "soon"}, 5),
        ({}, 5),
    ],
)
async def test_how_long_to_wait_is_taken_from_the_answer(headers: dict[str, str], seconds: float) -> None:
    with pytest.raises(Throttled) as throttled:
        await get(client(Network(lambda _: reply(429, **headers))))
    assert throttled.value.retry_after == seconds


async def test_a_status_that_was_expected_is_no_error() -> None:
    output = await get(client(Network(lambda _: reply(404, b""))), expect=["2xx", "404"])
    assert (output.status, output.data, output.text) == (404, None, "")


async def test_a_lost_answer_to_a_write_is_unknown_and_to_a_read_is_not() -> None:
    network = Network(lambda _: LOST)
    with pytest.raises(OutcomeUnknown):
        await send(client(network))
    with pytest.raises(Retryable):
        await get(client(network))


async def test_a_write_carries_the_attemptʼs_key_and_its_body_as_it_is() -> None:
    network = Network(lambda _: reply(201, b'{"id": 7}'))
    applied = await send(client(network), data={"name": "Élodie", "n": [1, None]}, query={"q": "a&b=ü"})
    first, headers, body = sent(network)
    assert first == "POST /x?q=a%26b%3D%C3%BC HTTP/1.1"
    assert json.loads(body) == {"name": "Élodie", "n": [1, None]}
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(body)
    assert len(headers["idempotency-key"]) == 36
    assert applied.output["data"] == {"id": 7}


async def test_a_deadline_that_is_near_sends_nothing() -> None:
    network, action = Network(lambda _: reply()), SendRequest()
    found, typed = client(network), SendRequest.Params(url="https://api.example.com/x")
    planned = await action.plan(found, typed, None)  # type: ignore[arg-type]
    with pytest.raises(Retryable, match="nothing was sent"):
        await action.apply(found, typed, planned.change, new_attempt(action, seconds=1))
    assert network.connected == []


async def test_what_may_be_repeated_is_sent_again_with_the_same_key() -> None:
    network, action = Network(lambda _: reply()), SendRequest()
    found, typed = client(network), SendRequest.Params(url="https://api.example.com/x", repeatable=True)
    planned, attempt = await action.plan(found, typed, None), new_attempt(action)  # type: ignore[arg-type]
    assert await action.recover(found, typed, planned.change, attempt) is None
    assert network.connected == []


async def test_an_answer_that_is_too_large_fails_a_read_and_not_a_write() -> None:
    network = Network(lambda _: reply(200, b"x" * 3000, content_type="text/plain"))
    with pytest.raises(Rejected, match="larger than 1 KB"):
        await get(client(network), max_kb=1)
    applied = await send(client(network), max_kb=1)
    assert (applied.output["complete"], applied.output["text"]) == (False, "")


async def test_a_packed_answer_is_unpacked_within_its_bound() -> None:
    small, bomb = gzip.compress(b'{"a": 1}'), gzip.compress(b"0" * 50_000_000)
    assert (await get(client(Network(lambda _: reply(200, small, content_encoding="gzip"))))).data == {"a": 1}
    with pytest.raises(Rejected, match="larger than"):
        await get(client(Network(lambda _: reply(200, bomb, content_encoding="gzip"))))


@pytest.mark.parametrize(
    ("kind", "body", "read_as", "data", "text"),
    [
        ("application/json", b'{"a": "\xc3\xa9"}', "auto", {"a": "é"}, ""),
        ("application/problem+json", b"[1]", "auto", [1], ""),
        ("text/plain; charset=iso-8859-1", b"\xe9", "auto", None, "é"),
        ("text/plain; charset=nonsense", b"e", "auto", None, "e"),
        ("text/plain; charset=undefined", b"e", "auto", None, "e"),
        ("text/plain; charset=idna", b"e", "auto", None, "e"),
        ("text/plain", b"[1]", "json", [1], ""),
        ("application/json", b"[1]", "text", None, "[1]"),
        ("application/json", b"not json", "auto", None, "not json"),
        ("application/json", b"NaN", "auto", None, "NaN"),
        ("application/json", b"", "auto", None, ""),
        ("application/json", b"[" * 900 + b"]" * 900, "auto", None, "[" * 900 + "]" * 900),
        ("text/plain", b"a\x00b", "auto", None, "ab"),
    ],
)
async def test_an_answer_is_read_as_its_type_says(kind: str, body: bytes, read_as: str, data: Any, text: str) -> None:
    output = await get(client(Network(lambda _: reply(200, body, content_type=kind))), read_as=read_as)
    assert (output.data, output.text) == (data, text)


async def test_json_that_is_not_there_is_said_so() -> None:
    with pytest.raises(Rejected, match="not JSON"):
        await get(client(Network(lambda _: reply(200, b"<html>"))), read_as="json")


async def test_an_address_of_version_6_is_asked_as_one() -> None:
    names, network = Names([PUBLIC]), Network(lambda _: reply())
    found = client(network, names, hosts=["[2606:4700::1111]:8443"])
    output = await get(found, "https://[2606:4700:0:0::1111]:8443/x")
    assert network.connected == [("2606:4700::1111", 8443)]
    assert sent(network)[1]["host"] == "[2606:4700::1111]:8443"
    assert output.url == "https://[2606:4700::1111]:8443/x"
    assert names.asked == 0


async def test_an_address_inside_that_the_connection_lists_is_refused_all_the_same() -> None:
    """Whoever may add connections does not thereby reach the deployment's own network."""
    network = Network(lambda _: reply())
    for host in (
        "http://127.0.0.1:8200",
        "http://169.254.169.254",
        "http://[::ffff:169.254.169.254]",
        "http://10.0.0.1",
    ):
        with pytest.raises(AddressRefused):
            await get(client(network, hosts=[host]), f"{host}/latest/meta-data/")
    assert network.connected == []


async def test_a_host_called_like_a_setting_is_a_host() -> None:
    names, network = Names(["127.0.0.1"]), Network(lambda _: reply())
    config = HttpConfig(hosts=["ca_file"])
    found = HttpClient(uuid4(), config, Environment(endpoints={}), resolver=names, backend=network)
    with pytest.raises(AddressRefused):
        await get(found, "https://ca_file/")
    assert names.asked == 1


@pytest.mark.parametrize("data", [{"n": float("nan")}, {"n": [float("inf")]}, {"a": "half a sign \ud800"}])
async def test_a_value_that_cannot_be_sent_is_refused_while_planning(data: Any) -> None:
    with pytest.raises(Rejected) as refused:
        await send(client(Network(lambda _: reply())), data=data)
    assert (refused.value.code, refused.value.field) == ("value_unsendable", "data")


@pytest.mark.parametrize(("given", "least", "most"), [({}, 590, 600), ({"timeout_s": 5}, 5, 5)])
async def test_what_was_sent_is_awaited_as_long_as_the_step_may_take(
    given: dict[str, Any], least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, waits = client(Network(lambda _: reply())), []
    make = found._web.send

    async def noted(*args: Any, timeout_s: float, **more: Any) -> Any:
        waits.append(timeout_s)
        return await make(*args, timeout_s=timeout_s, **more)

    monkeypatch.setattr(found._web, "send", noted)
    action, typed = SendRequest(), SendRequest.Params(url="https://api.example.com/x", **given)
    planned = await action.plan(found, typed, None)  # type: ignore[arg-type]
    await action.apply(found, typed, planned.change, new_attempt(action, seconds=600))
    await get(found)
    assert least <= waits[0] <= most
    assert waits[1] == 30, "what only looks may ask again"
