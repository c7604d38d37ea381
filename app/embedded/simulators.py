"""The platforms' simulators: what the demonstration's connections lead to."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from app.core.home import PROJECT
from app.embedded.layout import Layout
from app.embedded.parts import Part, python_module
from app.embedded.state import LOOPBACK, State

# The certificate that the Microsoft 365 simulator makes in the folder it is given.
_CERTIFICATE = "simulator.crt"


@dataclass(frozen=True)
class Simulator:
    """One platform's stand-in: its module, and whether it speaks TLS.

    Where there is no vendor, ``host`` is the name that it stands for. ``protocol`` is what it speaks on a second port,
    beside its control page.
    """

    platform: str
    module: str
    tls: bool = False
    host: str = ""
    protocol: str = ""

    def part(self, layout: Layout, state: State) -> Part:
        """Its process. The state has its ports."""
        kept = layout.simulators / f"{self.platform}.json"
        options = ["--port", str(state.ports[self.name]), "--state", str(kept), "--demo"]
        if self.protocol:
            options += [f"--{self.protocol}-port", str(state.ports[self.ports[1]])]
        if self.tls:
            options += ["--tls-dir", str(layout.tls)]
        return Part(name=self.name, argv=python_module(self.module, *options), cwd=str(PROJECT), rank=1)

    @property
    def name(self) -> str:
        """Its part's name."""
        return f"simulator-{self.platform}"

    @property
    def ports(self) -> tuple[str, ...]:
        """The names under which the state keeps its ports."""
        return (self.name, f"{self.name}-{self.protocol}") if self.protocol else (self.name,)

    def url(self, state: State) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{state.ports[self.name]}"

    def endpoints(self, layout: Layout, state: State) -> dict[str, str]:
        """What leads the connector to it instead of the vendor."""
        url = self.url(state)
        if self.tls:
            return {"graph": f"{url}/v1.0", "authority": url, "ca_file": str(layout.tls / _CERTIFICATE)}
        if self.protocol:
            url = f"{self.protocol}://{LOOPBACK}:{state.ports[self.ports[1]]}"
        return {self.host or "endpoint": url}


SIMULATORS = (
    Simulator("m365", "connectors.m365.simulator", tls=True),
    Simulator("aws", "connectors.aws.simulator"),
    Simulator("http", "connectors.http.simulator", host="api.sandbox.example"),
    Simulator("mail", "connectors.mail.simulator", host="mail.sandbox.example", protocol="smtp"),
    Simulator("webhook", "connectors.webhook.simulator", host="hooks.sandbox.example"),
)


def available() -> tuple[Simulator, ...]:
    """The simulators whose module is there."""
    return tuple(one for one in SIMULATORS if Path(PROJECT, *one.module.split(".")).exists())


def endpoints(layout: Layout, state: State) -> dict[str, dict[str, str]]:
    """The endpoint overrides of every simulator that has a port."""
    return {one.platform: one.endpoints(layout, state) for one in available() if set(one.ports) <= set(state.ports)}


def listening(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as link:
        link.settimeout(1)
        return link.connect_ex((LOOPBACK, port)) == 0
