"""Where connections may lead: every way of writing an address, and what a name server answers."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import Rejected, Retryable
from connectors.net import AddressRefused, Guard, as_address, carried, host_of, is_open, system_resolver

CLOSED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "this machine": ["0.0.0.0", "0.1.2.3", "::"],
    "link-local": ["169.254.0.1", "fe80::1", "febf::1"],
    "metadata": [
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
    ],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12:3456::1"],
    "many at once": ["224.0.0.1", "239.1.1.1", "255.255.255.255", "ff02::1"],
    "of no use": ["192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "240.0.0.1", "2001:db8::1", "100::1"],
    "mapped": [
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::ffff:168.63.129.16",
    ],
    "compatible": ["::127.0.0.1", "::169.254.169.254", "::8.8.8.8"],
    "translated": ["64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::808:808"],
    "tunnelled": ["2002:7f00:1::1", "2002:a9fe:a9fe::1", "2002:808:808::1", "2001::1", "fec0::1", "::ffff:0:127.0.0.1"],
}
OPEN = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "99.255.255.255", "172.32.0.1"]
EVERYTHING = ("0.0.0.0/0", "::/0")


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in CLOSED.items() for text in texts])
def test_what_is_not_public_is_closed(kind: str, text: str) -> None:
    assert not is_open(ipaddress.ip_address(text)), kind


@pytest.mark.parametrize("text", OPEN)
def test_what_is_public_is_open(text: str) -> None:
    assert is_open(ipaddress.ip_address(text))


@pytest.mark.parametrize("kind", ["loopback", "this machine", "link-local", "metadata", "many at once", "tunnelled"])
def test_some_addresses_no_deployment_can_open(kind: str) -> None:
    opened = [ipaddress.ip_network(text) for text in EVERYTHING]
    for text in CLOSED[kind]:
        assert not is_open(ipaddress.ip_address(text), opened), text


def test_a_private_network_that_the_deployment_opens_is_open_and_its_neighbour_is_not() -> None:
    opened = [ipaddress.ip_network("10.20.0.0/16"), ipaddress.ip_network("fd12::/32")]
    for text in ("10.20.0.1", "::ffff:10.20.3.4", "64:ff9b::10.20.0.1", "fd12::1"):
        assert is_open(ipaddress.ip_address(text), opened), text
    for text in ("10.21.0.1", "192.168.1.1", "::ffff:10.21.0.1", "fd13::1", "100.100.100.200", "fd00:ec2::254"):
        assert not is_open(ipaddress.ip_address(text), opened), text


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    for form in (f"::ffff:{address}", f"64:ff9b::{address}"):
        wrapped = ipaddress.ip_address(form)
        assert carried(wrapped) == address
        assert is_open(wrapped) == is_open(address)


@pytest.mark.parametrize(
    "text",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "017700000001",
        "127.0.0.1.2",
        "0x7f.0x0.0x0.0x1",
        "1.2.3.04",
        "１.１.１.１",
        "",
        ".",
        "a..b",
        "-a.example",
        "a b",
        "a/b",
        "user@a.example",
        "a.example:80",
        "a\x00b.example",
        "fe80::1%eth0",
        "[::1",
        "x" * 64 + ".example",
        "[::1]]",
    ],
)
def test_what_is_neither_a_name_nor_a_plain_address_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        host_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("API.Example.COM.", "api.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("[2606:4700:0::1111]", "2606:4700::1111"),
        ("8.8.8.8", "8.8.8.8"),
        ("_sip.example", "_sip.example"),
    ],
)
def test_a_host_has_one_form(text: str, expected: str) -> None:
    assert host_of(text) == expected
    assert host_of(expected) == expected


@given(st.text(max_size=40))
def test_a_host_has_one_form_whatever_is_typed(text: str) -> None:
    try:
        found = host_of(text)
    except AddressRefused:
        return
    assert host_of(found) == found
    assert found.isascii()
    address = as_address(found)
    assert (address is not None) or not found.rpartition(".")[2].isdigit()


class Names:
    """A name server that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, OSError):
            raise answer
        return answer


async def test_a_name_gives_its_addresses() -> None:
    names = Names(["8.8.8.8", "2606:4700::1111"])
    assert await Guard((), names).addresses("dns.example", 443) == ["8.8.8.8", "2606:4700::1111"]
    assert names.asked == 1


@pytest.mark.parametrize("inside", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1%lo", "nonsense"])
async def test_one_address_inside_refuses_the_whole_name(inside: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        await Guard((), Names(["8.8.8.8", inside])).addresses("mixed.example", 443)
    assert refused.value.code == "address_refused"


async def test_an_address_is_not_asked_of_a_name_server() -> None:
    names = Names(["8.8.8.8"])
    assert await Guard((), names).addresses("1.1.1.1", 443) == ["1.1.1.1"]
    with pytest.raises(AddressRefused):
        await Guard((), names).addresses("[::ffff:127.0.0.1]", 443)
    assert names.asked == 0


async def test_private_networks_are_the_deploymentʼs_to_open() -> None:
    names = Names(["10.20.0.5"])
    assert await Guard(("10.20.0.0/16",), names).addresses("intranet.example", 443) == ["10.20.0.5"]
    with pytest.raises(AddressRefused, match="private_networks"):
        await Guard((), names).addresses("intranet.example", 443)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), Rejected),
        (socket.gaierror(socket.EAI_AGAIN, "later"), Retryable),
    ],
)
async def test_a_name_that_is_not_there_is_told_from_a_server_that_is_away(
    error: OSError, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        await Guard((), Names(error)).addresses("nowhere.example", 443)


async def test_a_name_without_addresses_is_not_there() -> None:
    with pytest.raises(Rejected, match="no host"):
        await Guard((), Names([])).addresses("empty.example", 443)


async def test_a_name_server_that_does_not_answer_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for it are none of those in which everybody's passwords are checked and the vault is asked."""
    answers, waits = Event(), Event()

    def silent(*_: object, **__: object) -> list[object]:
        waits.set()
        answers.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    asking = [asyncio.create_task(system_resolver("slow.example", 443)) for _ in range(64)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            assert await asyncio.to_thread(waits.wait, 10)
            assert await asyncio.gather(*(asyncio.to_thread(int, "7") for _ in range(8))) == [7] * 8
        assert not any(task.done() for task in asking)
    finally:
        answers.set()
        await asyncio.gather(*asking)
