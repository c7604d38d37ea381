"""Behind proxies: whose word about the sender's address is believed.

Everybody can send an X-Forwarded-For header, so it is read only where the connection comes from a proxy that the
deployment names (``trusted_proxies``), and only as far as the chain of such proxies reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.types import Scope

from app.core.settings import Network, get_settings

Address = IPv4Address | IPv6Address


def with_sender(scope: Scope) -> Scope:
    """The scope of a request or a websocket with its sender in ``client``, proxies left out."""
    trusted, peer = get_settings().trusted_proxies, scope.get("client")
    if not trusted or not peer:
        return scope
    said = Headers(scope=scope).getlist("x-forwarded-for")
    found = sender(peer[0], said, trusted)
    return scope if found == peer[0] else {**scope, "client": (found, 0)}


def sender(peer: str, said: Iterable[str], trusted: Sequence[Network]) -> str:
    """The last address of the chain that no trusted proxy has.

    ``said`` are the X-Forwarded-For headers in order: each proxy adds at the end whom it heard. What is not an address
    ends the chain there.
    """
    found = peer
    heard = [entry for line in said for entry in line.split(",")]
    while heard and _is_trusted(found, trusted):
        address = _address(heard.pop())
        if address is None:
            break
        found = str(address)
    return found


def _is_trusted(name: str, trusted: Sequence[Network]) -> bool:
    address = _address(name)
    return address is not None and any(address in network for network in trusted)


def _address(entry: str) -> Address | None:
    """``192.0.2.1``, ``192.0.2.1:8080``, ``2001:db8::1`` or ``[2001:db8::1]:8080``; an IPv4 address in IPv6 clothes is
    one of IPv4."""
    bare = entry.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
