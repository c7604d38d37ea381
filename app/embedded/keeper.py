"""Keeps one part running: starts it, restarts it with growing pauses, stops it with its whole process group."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

from app.embedded.parts import Part
from app.embedded.processes import as_user, die_with_parent, stack_env

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_HEALTHY_AFTER_S = 30.0
_LOG_LIMIT_BYTES = 20_000_000


class Keeper:
    """The supervisor's hold on one part."""

    def __init__(self, part: Part, home: Path) -> None:
        self.part = part
        self.restarts = 0
        self.state = "starting"
        self.last_exit: int | None = None
        self._home = home
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = True
        self._spawning = asyncio.Lock()  # a stop in the middle of a start would miss the process
        self._task = asyncio.create_task(self._keep())

    def status(self) -> dict[str, Any]:
        pid = self._process.pid if self._process and self.state == "up" else None
        return {"state": self.state, "pid": pid, "restarts": self.restarts, "last_exit": self.last_exit}

    async def stop(self) -> None:
        """Ask the part to end, wait, and kill what is left of its group."""
        self._wanted = False
        async with self._spawning:
            process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.part.stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.part.stop_timeout_s)
            self._kill_group(process.pid)
            await process.wait()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.state = "stopped"

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE_S
        while self._wanted:
            began = time.monotonic()
            await self._run_once()
            if not self._wanted:
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - began > _HEALTHY_AFTER_S else min(pause * 2, _LONGEST_PAUSE_S)
            self.state, self.restarts = "restarting", self.restarts + 1
            await asyncio.sleep(pause)

    async def _run_once(self) -> None:
        async with self._spawning:
            process = await self._spawn() if self._wanted else None
        if process is None:
            return
        self.state = "up"
        self.last_exit = await process.wait()
        self._kill_group(process.pid)  # what it left of its group must not hold its ports

    async def _spawn(self) -> asyncio.subprocess.Process | None:
        with self._open_log() as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.part.argv,
                    cwd=self.part.cwd,
                    env=stack_env(self._home, self.part.env),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    process_group=0,
                    preexec_fn=die_with_parent(self.part.stop_signal, os.getpid()),
                    **as_user(self.part.user),
                )
            except OSError as error:
                log.write(f"cannot start {self.part.name}: {error}\n".encode())
                self.last_exit = -1
                return None
        return self._process

    def _open_log(self) -> Any:
        path = self._home / "logs" / f"{self.part.name}.log"
        if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    @staticmethod
    def _kill_group(pid: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
