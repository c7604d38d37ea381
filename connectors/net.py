"""Where a connection may lead: for the connectors whose address a client chooses (HTTP, mail, webhooks).

Such a connection must not become a way into the deployment's own network. A host name is resolved here, once; every
address that it has is judged, and the caller connects to exactly what was judged, so that a name server cannot give
another answer to the connection than it gave to the check.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from connectors.errors import Rejected, Retryable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host name, as text. Raises OSError where it has none."""

RESOLVE_S = 10.0
# More than this is not tried one after the other.
MOST_ADDRESSES = 8

# Services that clouds give their own machines, at addresses that are public or private by their number.
METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "fd00:ec2::/32",
        "fd20:ce::/32",
    )
)
# IPv6 addresses whose last 32 bits are the IPv4 address that is meant (mapped addresses, NAT64).
CARRIERS = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))
# The machine itself, everybody at once, and for IPv6 tunnels, translation inside a site and site-local addresses: no
# deployment can open these.
NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"),
        *(
            "::/96",
            "::ffff:0:0:0/96",
            "64:ff9b:1::/48",
            "2001::/32",
            "2002::/16",
            "3fff::/20",
            "5f00::/16",
            "fec0::/10",
        ),
        "ff00::/8",
    )
)

LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# What the C library reads as a number although no person would write an address so: 0x7f.1, 2130706433, 0177.0.0.1
NUMERIC = re.compile(r"0x[0-9a-f]*|[0-9]+")


class AddressRefused(Rejected):
    """The address is not one that a connection may lead to."""

    code = "address_refused"


def host_of(text: str) -> str:
    """``text`` as a host name or address in the one form that is compared: lower case, no final dot, no brackets.

    Raises AddressRefused for what is neither; among it are numbers that only a C library takes for an address.
    """
    bare = text.strip().lower().removesuffix(".")
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    address = as_address(bare)
    if address is not None:
        return str(address)
    try:
        name = bare.encode("ascii").decode() if bare.isascii() else _encoded(bare)
    except UnicodeError:
        raise AddressRefused(f"{text!r} is no host name.") from None
    labels = name.split(".")
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels) or NUMERIC.fullmatch(labels[-1]):
        raise AddressRefused(f"{text!r} is no host name.")
    return name


def _encoded(name: str) -> str:
    import idna

    return idna.encode(name, uts46=True).decode("ascii")


def as_address(text: str) -> Address | None:
    """``text`` as an address in its usual form, or None. A zone (``fe80::1%eth0``) is no part of an address."""
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def carried(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that carries one, else ``address`` itself."""
    if isinstance(address, ipaddress.IPv6Address) and _within(address, CARRIERS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_open(address: Address, opened: Sequence[Network] = ()) -> bool:
    """Whether a connection may lead to ``address``, where the private networks ``opened`` may be entered."""
    if _within(address, METADATA) or _within(address, NEVER):
        return False
    inner = carried(address)
    if inner != address:
        return is_open(inner, opened)
    if _within(address, opened):
        return True
    return address.is_global


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


# A name server of a client's own choosing may be slow, or never answer, and the thread that asks it waits for longer
# than we do. It takes none of those in which passwords are checked and the vault is asked for everybody.
_ASKING = ThreadPoolExecutor(16, thread_name_prefix="names")


async def system_resolver(host: str, port: int) -> list[str]:
    """The addresses that the machine's resolver gives, in the order in which they should be tried."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    found = await asyncio.get_running_loop().run_in_executor(_ASKING, ask)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard:
    """Judges where connections lead. ``opened`` are the private networks that the deployment lets them enter."""

    def __init__(self, opened: Iterable[str] = (), resolver: Resolver = system_resolver) -> None:
        self._opened = tuple(ipaddress.ip_network(text) for text in opened)
        self._resolver = resolver

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of ``host``, each of which may be connected to.

        A name of which a single address is refused is refused: an answer that mixes inside and outside is no accident.
        Raises AddressRefused, and Retryable where the name cannot be resolved just now.
        """
        name = host_of(host)
        found = [name] if as_address(name) else await self._resolved(name, port)
        for text in found:
            address = as_address(text)
            if address is None or not is_open(address, self._opened):
                raise AddressRefused(
                    f"{name} leads to {text}, which is not open to connections. Whoever runs this deployment can open a"
                    " private network with the setting private_networks.",
                    details={"host": name},
                )
        return found[:MOST_ADDRESSES]

    async def _resolved(self, name: str, port: int) -> list[str]:
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = list(await self._resolver(name, port))
        except TimeoutError:
            raise Retryable(f"The address of {name} could not be found out in time; nothing was sent.") from None
        except OSError as error:
            raise _unresolved(name, error) from None
        if not found:
            raise _unresolved(name, None)
        return found


def _unresolved(name: str, error: OSError | None) -> Rejected | Retryable:
    """A name that is not there is to be corrected; a name server that is away comes back."""
    details = {"host": name}
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return Retryable(f"The name server does not answer for {name}; nothing was sent.", details=details)
    return Rejected(f"There is no host {name}.", code="unknown_host", details=details)
