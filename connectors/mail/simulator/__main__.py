"""``python -m connectors.mail.simulator --port N --smtp-port M``: the simulator as a process of its own."""

from __future__ import annotations

import sys

from connectors import webhost
from connectors.httpd import Server
from connectors.mail.simulator.app import Post, Simulator

if __name__ == "__main__":
    parser = webhost.arguments("mail")
    parser.add_argument("--smtp-port", type=int, required=True, help="port at which mail comes in; 0 picks a free one")
    given = parser.parse_args()
    simulator = Simulator(given.state)
    if given.demo:
        simulator.seed_demo()
    servers = [Server(simulator, given.host, given.port), Post(simulator, given.host, given.smtp_port)]
    sys.exit(webhost.main("Mail", servers))
