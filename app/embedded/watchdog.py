"""Ends the whole stack when its supervisor was killed. Waits on a pipe, so it costs nothing meanwhile."""

from __future__ import annotations

import signal
import sys

from app.core.home import home
from app.embedded.processes import sweep


def main() -> None:
    # A sweep asks with SIGINT; whoever sweeps while this one does would otherwise end it half-way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.stdin.buffer.read() != b"done":
        sweep(home())


if __name__ == "__main__":
    main()
