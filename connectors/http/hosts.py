"""The hosts that a connection allows: ``api.example.com``, ``*.example.com``, with a port, or with ``http://``."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from connectors.net import host_of
from connectors.web import PORTS, name_of, port_of


@dataclass(frozen=True)
class Allowed:
    """One entry of the list. With ``below``, every name below ``host`` is meant and ``host`` itself is not."""

    scheme: str
    host: str
    port: int
    below: bool = False

    def admits(self, url: httpx.URL) -> bool:
        """Whether a request may go to ``url``."""
        name = name_of(url)
        same = name.endswith(f".{self.host}") if self.below else name == self.host
        return same and url.scheme == self.scheme and port_of(url) == self.port

    @property
    def origin(self) -> str:
        """The host as the beginning of an address."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{shown}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")


def parse(text: str) -> Allowed:
    """One entry as it is typed. Raises ValueError saying what is wrong with it."""
    scheme, separator, rest = text.strip().rpartition("://")
    scheme = scheme.lower() if separator else "https"
    if scheme not in PORTS:
        raise ValueError(f"{text}: only https:// and http:// are known")
    below = rest.startswith("*.")
    host, port = _split(rest.removeprefix("*.").removesuffix("/"), text)
    if "*" in host:
        raise ValueError(f"{text}: a star stands at the beginning only, for the names below a domain")
    if below and "." not in host:
        raise ValueError(f"{text}: a star needs a whole domain behind it, such as *.example.com")
    try:
        return Allowed(scheme, host_of(host), port or PORTS[scheme], below)
    except Exception as error:
        raise ValueError(f"{text}: this is no host name") from error


def _split(rest: str, text: str) -> tuple[str, int | None]:
    """Host and port. An address of version 6 stands in brackets."""
    host, separator, port = rest.rpartition(":")
    if not separator or rest.endswith("]"):
        return rest, None
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text}: behind the colon stands a port")
    return host, int(port)
