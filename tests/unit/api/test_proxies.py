"""Whose word about the sender's address is believed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.api.proxies import sender

INSIDE = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]


@pytest.mark.parametrize(
    ("peer", "said", "found"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),  # not a proxy of ours: anybody can send the header
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),  # what the sender invented stands before
        ("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),  # two proxies
        ("10.0.0.1", ["198.51.100.1", "203.0.113.9,10.0.0.2"], "203.0.113.9"),  # two headers
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # a machine of our own network
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db9::5]:443"], "2001:db9::5"),
        ("10.0.0.1", ["2001:db9::5, 2001:db8::1"], "2001:db9::5"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, , "], "10.0.0.1"),
        ("10.0.0.1", ["'; DROP TABLE audit_events --"], "10.0.0.1"),
        ("testclient", ["203.0.113.9"], "testclient"),
    ],
)
def test_the_sender_is_the_last_that_is_no_proxy_of_ours(peer: str, said: list[str], found: str) -> None:
    assert sender(peer, said, INSIDE) == found


def test_without_proxies_nobody_is_believed() -> None:
    assert sender("127.0.0.1", ["203.0.113.9"], []) == "127.0.0.1"
