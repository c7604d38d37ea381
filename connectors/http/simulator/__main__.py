"""``python -m connectors.http.simulator --port N``: the simulator as a process of its own."""

from __future__ import annotations

import sys

from connectors import webhost
from connectors.http.simulator.app import Simulator
from connectors.httpd import Server

if __name__ == "__main__":
    given = webhost.arguments("http").parse_args()
    simulator = Simulator(given.state)
    if given.demo:
        simulator.seed_demo()
    sys.exit(webhost.main("HTTP", [Server(simulator, given.host, given.port)]))
