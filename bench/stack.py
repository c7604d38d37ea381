"""A stack for measuring: real servers in a home of their own, ended with the bench."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.core.settings import Settings, get_settings
from app.data import migrate
from app.embedded.configuration import settings_values
from app.embedded.control import Supervisor
from app.embedded.core import Stack, start_core
from app.embedded.layout import Layout
from app.embedded.processes import sweep
from app.embedded.progress import Progress


@dataclass(frozen=True)
class Bench:
    """The servers and the settings that lead to them."""

    layout: Layout
    settings: Settings

    @contextmanager
    def workers(
        self, count: int, command: Sequence[str] = ("app.cli", "worker"), **settings: str
    ) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Worker processes, as the product starts them, with ``settings`` of their own in the environment. One that was
        killed meanwhile is not waited for in vain."""
        stamp = time.monotonic_ns()
        logs = [self.layout.home / f"bench-worker-{stamp}-{number}.log" for number in range(count)]
        started: list[subprocess.Popen[bytes]] = []
        try:
            for log in logs:
                with log.open("wb") as out:
                    started.append(
                        subprocess.Popen(
                            [sys.executable, "-m", *command],
                            env={**os.environ, **settings},
                            stdout=out,
                            stderr=subprocess.STDOUT,
                        )
                    )
            _wait_ready(logs, started)
            yield started
        finally:
            for process in started:
                process.terminate()
            for process in started:
                _wait_or_kill(process)


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_ready(logs: list[Path], started: list[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + 60
    for log, process in zip(logs, started, strict=True):
        while b"worker.ready" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > until:
                said = log.read_text(errors="replace").strip().splitlines()[-3:]
                raise RuntimeError(f"a worker did not start: {' / '.join(said) or 'it said nothing'}")
            time.sleep(0.05)


@contextmanager
def bench_stack() -> Iterator[Bench]:
    """PostgreSQL, Valkey and OpenBao with the production roles, migrated and empty."""
    home = Path(tempfile.mkdtemp(prefix="opsloom-bench-"))
    layout = Layout(home)
    os.environ["OPSLOOM_HOME"] = str(home)
    try:
        stack = Stack.open(layout, Progress(quiet=True), owner=os.getpid())
        start_core(stack)
        values = settings_values(layout, stack.state)
        os.environ.update({f"OPSLOOM_{key.upper()}": str(value) for key, value in values.items() if value != {}})
        get_settings.cache_clear()
        settings = get_settings()
        migrate.upgrade(settings.database_url("migrate"))
        yield Bench(layout, settings)
    finally:
        supervisor = Supervisor(layout)
        if supervisor.running():
            supervisor.shut_down()
        sweep(home)
        shutil.rmtree(home, ignore_errors=True)
