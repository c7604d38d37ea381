"""The simulator inside a test's own process: a thread, a free port, a certificate of its own."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.httpd import Server
from connectors.m365.simulator import models
from connectors.m365.simulator.app import Simulator
from connectors.m365.simulator.graph import ROUTES
from connectors.m365.simulator.tls import ensure_certificate, server_context


@dataclass(frozen=True)
class Running:
    """A simulator that answers at ``url`` (HTTPS) and at ``plain_url`` (the same port without TLS).

    ``endpoints`` is what an ``Environment`` needs to lead the connector to it.
    """

    simulator: Simulator
    port: int
    ca_file: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def plain_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def endpoints(self) -> dict[str, str]:
        return {"graph": f"{self.url}/v1.0", "authority": self.url, "ca_file": str(self.ca_file)}


def warm() -> None:
    """Load the SDK's models now, which takes seconds, so that the first answer does not."""
    for route in ROUTES:
        for path in (route.takes, route.gives):
            if path:
                models.fields_of(models.model(path))


async def serve(
    simulator: Simulator, host: str, port: int, certificate: Path | None = None, key: Path | None = None
) -> tuple[Server, int]:
    """Start listening in this event loop; gives the server and its port."""
    tls = server_context(certificate, key) if certificate and key else None
    server = Server(simulator, host, port, tls)
    return server, await server.start()


@contextmanager
def running(simulator: Simulator | None = None) -> Iterator[Running]:
    """A simulator over HTTPS on a free port for as long as the block lasts."""
    chosen = simulator or Simulator()
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = ensure_certificate(Path(folder))
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="m365-simulator", daemon=True)
        thread.start()

        def run(work: object) -> object:
            return asyncio.run_coroutine_threadsafe(work, loop).result(30)  # type: ignore[arg-type]

        server, port = run(serve(chosen, "127.0.0.1", 0, certificate, key))  # type: ignore[misc]
        try:
            yield Running(chosen, port, certificate)
        finally:
            run(server.stop())
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()
