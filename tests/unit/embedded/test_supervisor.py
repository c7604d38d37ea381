"""The supervisor with parts of a test's own: starting, restarting, stopping, being killed."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core.errors import Unavailable
from app.embedded.control import Supervisor
from app.embedded.layout import Layout
from app.embedded.parts import Part
from app.embedded.processes import alive, belonging, sweep

FOREVER = "import time\nwhile True: time.sleep(1)"
# A part with a grandchild that the supervisor knows nothing of, in a session of its own.
WITH_GRANDCHILD = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
"""
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(params=["short", "deep"])
def layout(request: pytest.FixtureRequest) -> Iterator[Layout]:
    """A home; the deep one is longer than the address of a socket may be."""
    with tempfile.TemporaryDirectory(prefix="opsloom-sup-") as folder:
        home = Path(folder, *(["a-rather-long-name-of-a-folder"] * 4 if request.param == "deep" else []), "home")
        found = Layout(home)
        found.create(passable=False)
        yield found
        sweep(home)


@pytest.fixture
def supervisor(layout: Layout) -> Supervisor:
    found = Supervisor(layout)
    found.ensure(owner=os.getpid())
    return found


def part(layout: Layout, code: str = FOREVER, name: str = "one", **more: object) -> Part:
    return Part(name=name, argv=(sys.executable, "-c", code), cwd=str(layout.home), **more)  # type: ignore[arg-type]


def log_of(layout: Layout, name: str = "one") -> str:
    path = layout.logs / f"{name}.log"
    return path.read_text() if path.exists() else ""


def pid_of(supervisor: Supervisor, name: str = "one") -> int:
    until(lambda: supervisor.status()[name]["pid"] is not None)
    return int(supervisor.status()[name]["pid"])


def test_start_is_idempotent_and_a_change_restarts(supervisor: Supervisor, layout: Layout) -> None:
    assert supervisor.start(part(layout))
    first = pid_of(supervisor)
    assert not supervisor.start(part(layout))
    assert pid_of(supervisor) == first
    assert supervisor.start(part(layout, env={"NEW": "1"}))
    until(lambda: supervisor.status()["one"]["pid"] not in (None, first))
    assert not alive(first)


def test_a_part_that_dies_comes_back(supervisor: Supervisor, layout: Layout) -> None:
    supervisor.start(part(layout))
    first = pid_of(supervisor)
    os.kill(first, signal.SIGKILL)
    until(
        lambda: supervisor.status()["one"]["restarts"] == 1 and supervisor.status()["one"]["pid"] not in (None, first)
    )
    assert supervisor.status()["one"]["last_exit"] == -signal.SIGKILL


def test_a_part_that_cannot_start_says_so(supervisor: Supervisor, layout: Layout) -> None:
    supervisor.start(Part(name="none", argv=("/no/such/program",), cwd=str(layout.home)))
    until(lambda: supervisor.status()["none"]["restarts"] >= 1)
    assert "cannot start none" in log_of(layout, "none")


def test_a_deaf_part_is_killed_when_its_time_is_up(supervisor: Supervisor, layout: Layout) -> None:
    supervisor.start(part(layout, DEAF + "print('deaf', flush=True)\n" + FOREVER, stop_timeout_s=0.5))
    found = pid_of(supervisor)
    until(lambda: "deaf" in log_of(layout))
    supervisor.stop("one")
    assert not alive(found)
    assert supervisor.status() == {}


def test_shutting_down_stops_the_highest_rank_first(supervisor: Supervisor, layout: Layout) -> None:
    log = layout.home / "order"
    code = (
        "import signal, sys, time\n"
        "def bye(*_): time.sleep(0.3); open({log!r}, 'a').write({name!r}); sys.exit()\n"
        "signal.signal(signal.SIGTERM, bye); print('up', flush=True)\nwhile True: time.sleep(1)"
    )
    for name, rank in (("c", 2), ("a", 0), ("b", 1)):
        supervisor.start(part(layout, code.format(log=str(log), name=name), name=name, rank=rank))
        until(lambda name=name: "up" in log_of(layout, name))
    supervisor.shut_down()
    assert log.read_text() == "cba"
    assert not supervisor.running()
    assert belonging(layout.home) == []


def test_a_killed_supervisor_leaves_nothing(supervisor: Supervisor, layout: Layout) -> None:
    supervisor.start(part(layout, WITH_GRANDCHILD + FOREVER))
    pid_of(supervisor)
    until(lambda: len(belonging(layout.home)) >= 4)  # supervisor, watchdog, part, grandchild
    _kill(layout, "app.embedded.supervisor")
    until(lambda: belonging(layout.home) == [], 15)


def test_nothing_stops_the_next_start_when_the_watchdog_was_killed_too(supervisor: Supervisor, layout: Layout) -> None:
    supervisor.start(part(layout, WITH_GRANDCHILD + FOREVER))
    pid_of(supervisor)
    until(lambda: len(belonging(layout.home)) >= 4)
    _kill(layout, "app.embedded.watchdog", "app.embedded.supervisor")
    until(lambda: not supervisor.running())
    with pytest.raises(Unavailable):
        supervisor.start(part(layout))
    sweep(layout.home)
    assert belonging(layout.home) == []
    supervisor.ensure(owner=os.getpid())
    assert supervisor.start(part(layout))


def test_a_stop_in_the_middle_of_a_start_misses_nothing(supervisor: Supervisor, layout: Layout) -> None:
    for _ in range(10):
        supervisor.start(part(layout, DEAF + FOREVER, stop_timeout_s=0.1))
        supervisor.stop("one")
    assert len(belonging(layout.home)) == 2, "the supervisor and its watchdog"


def test_one_supervisor_a_home(supervisor: Supervisor, layout: Layout) -> None:
    supervisor.ensure()
    assert len(_numbers(layout, "app.embedded.supervisor")) == 1


def _numbers(layout: Layout, *modules: str) -> list[int]:
    wanted = {module.encode() for module in modules}
    return [pid for pid in belonging(layout.home) if wanted & set(_command(pid))]


def _command(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _kill(layout: Layout, *modules: str) -> None:
    for pid in _numbers(layout, *modules):
        os.kill(pid, signal.SIGKILL)
