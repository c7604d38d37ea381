"""Talking to the supervisor: one JSON line there, one JSON line back, over a socket in a private folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.core.errors import Unavailable
from app.core.home import PROJECT
from app.embedded.layout import Layout
from app.embedded.parts import Part, python_module
from app.embedded.processes import gone, stack_env

SOCKET = "supervisor.sock"
_LONGEST_ADDRESS = 100
_START_TIMEOUT_S = 15.0
_END_TIMEOUT_S = 10.0


@contextmanager
def socket_address(layout: Layout) -> Iterator[str]:
    """The address of the supervisor's socket. The kernel allows about 100 characters, a home may be deeper."""
    plain = str(layout.run / SOCKET)
    if len(plain) <= _LONGEST_ADDRESS:
        yield plain
        return
    folder = os.open(layout.run, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


class Supervisor:
    """The supervisor of one home, as its clients see it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def running(self) -> bool:
        """Whether it answers."""
        try:
            self._ask({"do": "status"})
        except Unavailable:
            return False
        return True

    def ensure(self, *, owner: int | None = None) -> None:
        """Start it unless it runs. With ``owner`` it stops by itself once that process has ended.

        Raises Unavailable where it does not come up.
        """
        if self.running():
            return
        arguments = ["--owner", str(owner)] if owner else []
        with (self._layout.logs / "supervisor.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - the arguments are ours
                python_module("app.embedded.supervisor", *arguments),
                env=stack_env(self._layout.home),
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.running():
            if child.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"The supervisor did not start. See {self._layout.logs / 'supervisor.log'}.")
            time.sleep(0.05)

    def start(self, part: Part) -> bool:
        """Have ``part`` running. Gives False where it ran already, exactly so; a changed part is restarted."""
        return bool(self._ask({"do": "start", "part": part.as_json()})["started"])

    def stop(self, *names: str) -> None:
        """Stop parts, those of the highest rank first, and wait for their end."""
        self._ask({"do": "stop", "names": list(names)}, timeout_s=120)

    def status(self) -> dict[str, dict[str, Any]]:
        """State, pid and number of restarts by part; empty where no supervisor runs."""
        try:
            return dict(self._ask({"do": "status"})["parts"])
        except Unavailable:
            return {}

    def shut_down(self) -> None:
        """Stop every part and the supervisor itself, and wait until it is gone."""
        pid = int(self._ask({"do": "shut_down"}, timeout_s=120)["pid"])
        deadline = time.monotonic() + _END_TIMEOUT_S
        while not gone(pid) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _ask(self, message: dict[str, Any], timeout_s: float = 60) -> dict[str, Any]:
        try:
            with socket_address(self._layout) as address, socket.socket(socket.AF_UNIX) as link:
                link.settimeout(timeout_s)
                link.connect(address)
                link.sendall(json.dumps(message).encode() + b"\n")
                with link.makefile("rb") as answers:
                    line = answers.readline()
        except OSError as error:
            raise Unavailable(f"The supervisor does not answer ({error}).") from error
        if not line:
            raise Unavailable("The supervisor ended before it answered.")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Unavailable(str(answer["error"]))
        return answer


def log_tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
