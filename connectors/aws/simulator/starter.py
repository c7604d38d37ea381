"""The simulator for a test: a process of its own (moto's state is one for a process) on a free port."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_START_S = 60


@contextmanager
def running(state: Path | None = None) -> Iterator[str]:
    """The address of a simulator that runs for as long as the block lasts."""
    command = [sys.executable, "-m", "connectors.aws.simulator", "--port", "0", "--with-stdin"]
    command += ["--state", str(state)] if state else []
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://\S+", said)
        if found is None:
            raise RuntimeError(f"the AWS simulator did not start: {said!r}")
        yield found.group()
    finally:
        process.terminate()
        process.wait(LONGEST_START_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
