"""``python -m connectors.webhook.simulator --port N``: the simulator as a process of its own."""

from __future__ import annotations

import sys

from connectors import webhost
from connectors.httpd import Server
from connectors.webhook.simulator.app import Simulator

if __name__ == "__main__":
    given = webhost.arguments("webhook").parse_args()
    simulator = Simulator(given.state)
    if given.demo:
        simulator.seed_demo()
    sys.exit(webhost.main("Webhook", [Server(simulator, given.host, given.port)]))
