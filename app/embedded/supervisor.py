"""The supervisor: one small process that keeps the parts of one home running after `opsloom up` has returned.

It holds a lock on its home, so that there is one only. A watchdog process holds the other end of a pipe: when the
supervisor is killed, the watchdog ends every process of the stack, grandchildren too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from app.core.home import home as chosen_home
from app.embedded.control import SOCKET, socket_address
from app.embedded.keeper import Keeper
from app.embedded.layout import Layout
from app.embedded.parts import Part, python_module
from app.embedded.processes import alive, stack_env

_OWNER_POLL_S = 0.5


class SupervisorServer:
    """Answers the commands that :mod:`app.embedded.control` sends."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._keepers: dict[str, Keeper] = {}
        self._lock = asyncio.Lock()
        self.ended = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one command."""
        with contextlib.suppress(ConnectionError):
            try:
                answer = await self._do(json.loads(await reader.readline()))
            except Exception as error:  # told to the caller; the supervisor must live on
                answer = {"error": f"{type(error).__name__}: {error}"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
            writer.close()
            if answer.get("ending"):
                self.ended.set()

    async def _do(self, message: dict[str, Any]) -> dict[str, Any]:
        match message["do"]:
            case "status":
                return {"parts": {name: keeper.status() for name, keeper in self._keepers.items()}}
            case "start":
                async with self._lock:
                    return {"started": await self._start(Part.from_json(message["part"]))}
            case "stop":
                async with self._lock:
                    await self._stop(message["names"])
                return {}
            case "shut_down":
                await self.stop_all()
                return {"ending": True, "pid": os.getpid()}
            case other:
                raise ValueError(f"unknown command {other}")

    async def _start(self, part: Part) -> bool:
        present = self._keepers.get(part.name)
        if present is not None and present.part == part:
            return False
        if present is not None:
            await present.stop()
        self._keepers[part.name] = Keeper(part, self._layout.home)
        return True

    async def _stop(self, names: Iterable[str]) -> None:
        """Rank by rank, the highest first: the database outlives those who write to it."""
        chosen = [self._keepers.pop(name) for name in names if name in self._keepers]
        for rank in sorted({keeper.part.rank for keeper in chosen}, reverse=True):
            await asyncio.gather(*(keeper.stop() for keeper in chosen if keeper.part.rank == rank))

    async def stop_all(self) -> None:
        async with self._lock:
            await self._stop(list(self._keepers))


async def serve(layout: Layout, owner: int | None) -> None:
    """Run until told to shut down, signalled, or the owner has ended."""
    server = SupervisorServer(layout)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, server.ended.set)
    watchdog = _start_watchdog(layout.home)
    with socket_address(layout) as address:
        (layout.run / SOCKET).unlink(missing_ok=True)
        listener = await asyncio.start_unix_server(server.answer, path=address)
    watching = asyncio.create_task(_watch_owner(owner, server.ended))
    async with listener:
        await server.ended.wait()
    watching.cancel()
    await server.stop_all()
    watchdog.communicate(b"done")  # a closed pipe without this word means that the supervisor was killed


async def _watch_owner(owner: int | None, ended: asyncio.Event) -> None:
    while owner is not None and alive(owner):  # noqa: ASYNC110 - a foreign process gives no event
        await asyncio.sleep(_OWNER_POLL_S)
    if owner is not None:
        ended.set()


def _start_watchdog(home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the arguments are ours
        python_module("app.embedded.watchdog"),
        env=stack_env(home),
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def main() -> int:
    """Exit status 1 where another supervisor has this home."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--owner", type=int)
    arguments = parser.parse_args()
    layout = Layout(chosen_home())
    lock = os.open(layout.run / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 1
    asyncio.run(serve(layout, arguments.owner))
    return 0


if __name__ == "__main__":
    sys.exit(main())
