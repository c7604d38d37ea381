"""``python -m connectors.aws.simulator --port N``: the simulator as a process."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from connectors.aws.simulator.app import Simulator


class QuietHandler(MotoRequestHandler):
    """Says nothing of each request: the log under ``/_sim`` has them."""

    def log(self, type: str, message: str, *args: object) -> None:
        pass


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m connectors.aws.simulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--state", type=Path, help="file that keeps accounts and machines over a restart")
    parser.add_argument("--demo", action="store_true", help="make the demonstration's accounts unless they are there")
    parser.add_argument("--with-stdin", action="store_true", help="end when the standard input is closed")
    return parser.parse_args()


def _end_with_stdin(end: Callable[[], None]) -> None:
    """A test that is killed closes its end of the pipe: nothing is left behind."""
    sys.stdin.buffer.read()
    end()


def main() -> int:
    """Run until a signal. Exit status 1 when the port is taken."""
    given = _arguments()
    simulator = Simulator(given.state)
    if given.demo:
        simulator.seed_demo()
    try:
        server = make_server(given.host, given.port, simulator, threaded=True, request_handler=QuietHandler)
    except (OSError, SystemExit) as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201 - the reason, for whoever started it
        return 1
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: Thread(target=server.shutdown).start())
    if given.with_stdin:
        Thread(target=_end_with_stdin, args=[server.shutdown], daemon=True).start()
    print(f"AWS simulator at http://{given.host}:{server.port}", flush=True)  # noqa: T201 - says where it is
    server.serve_forever()
    server.server_close()
    sys.stdout.flush()
    os._exit(0)  # all that is kept was written when it happened; taking moto's models apart takes seconds


if __name__ == "__main__":
    sys.exit(main())
