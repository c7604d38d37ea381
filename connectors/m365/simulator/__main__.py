"""``python -m connectors.m365.simulator --port N``: the simulator as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from connectors.m365.simulator.app import Simulator
from connectors.m365.simulator.starter import serve, warm
from connectors.m365.simulator.tls import ensure_certificate


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m connectors.m365.simulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--state", type=Path, help="file that keeps the tenants over a restart")
    parser.add_argument("--tls-cert", type=Path, help="certificate (PEM); made beside the key when missing")
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--tls-dir", type=Path, help="folder in which a certificate for localhost is made and kept")
    parser.add_argument("--demo", action="store_true", help="make the demonstration's tenants unless they are there")
    found = parser.parse_args()
    if bool(found.tls_cert) != bool(found.tls_key):
        parser.error("--tls-cert and --tls-key go together")
    return found


async def _run(given: argparse.Namespace) -> None:
    simulator = Simulator(given.state)
    if given.demo:
        simulator.seed_demo()
    certificate, key = given.tls_cert, given.tls_key
    if given.tls_dir:
        certificate, key = ensure_certificate(given.tls_dir)
    server, port = await serve(simulator, given.host, given.port, certificate, key)
    warm()
    scheme = "https" if certificate else "http"
    print(f"Microsoft 365 simulator at {scheme}://{given.host}:{port}", flush=True)  # noqa: T201 - says where it is
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    await stopped.wait()
    await server.stop()


def main() -> int:
    """Run until a signal. Exit status 1 when the port is taken."""
    given = _arguments()
    try:
        asyncio.run(_run(given))
    except OSError as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201 - the reason, for whoever started it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
