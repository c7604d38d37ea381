"""Processes that end with their parent, and those that a killed start left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded.parts import STACK_VARIABLE
from app.embedded.processes import alive, ancestors, belonging, end, run_tool, stack_env, sweep

STUBBORN = """
import signal
for each in (signal.SIGTERM, signal.SIGINT):
    signal.signal(each, signal.SIG_IGN)
"""


def _sleeper(home: Path, code: str = "") -> subprocess.Popen[bytes]:
    script = f"{code}\nimport time; print('up', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", script], env=stack_env(home), stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    return child


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    child = _sleeper(tmp_path)
    yield child
    child.kill()
    child.wait()


def test_a_process_is_known_by_its_home(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    assert sleeper.pid in belonging(tmp_path)
    assert sleeper.pid not in belonging(tmp_path / "other")
    assert os.getpid() not in belonging(tmp_path)


def test_a_home_whose_path_begins_with_another_is_left_alone(tmp_path: Path) -> None:
    child = _sleeper(tmp_path / "home2")
    try:
        assert child.pid not in belonging(tmp_path / "home")
    finally:
        child.kill()
        child.wait()


def test_a_sweep_ends_what_is_left(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    assert sweep(tmp_path, patience_s=60) == 1
    assert sleeper.wait(5) in (-signal.SIGINT, 1)


def test_a_sweep_kills_what_stays(tmp_path: Path) -> None:
    stubborn = _sleeper(tmp_path, STUBBORN)
    try:
        assert sweep(tmp_path, patience_s=0.2) == 1
        assert stubborn.wait(5) == -signal.SIGKILL
    finally:
        stubborn.kill()
        stubborn.wait()


def test_a_sweep_ends_neither_itself_nor_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STACK_VARIABLE, str(tmp_path))
    assert {os.getpid(), os.getppid()} <= ancestors(os.getpid())
    assert sweep(tmp_path) == 0


def test_a_zombie_is_not_alive(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 5
    while alive(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(child.pid)
    child.wait()
    end([child.pid])


def test_a_tool_dies_with_whoever_started_it(tmp_path: Path) -> None:
    code = (
        "from app.embedded.processes import run_tool; import sys; from pathlib import Path\n"
        f"run_tool([sys.executable, '-c', 'import time; time.sleep(60)'], home=Path({str(tmp_path)!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 10
    while not (found := belonging(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found
    parent.kill()
    parent.wait()
    while any(map(alive, found)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, found))


def test_a_tool_that_fails_tells_its_last_words(tmp_path: Path) -> None:
    assert run_tool([sys.executable, "-c", "print('fine')"], home=tmp_path) == "fine\n"
    with pytest.raises(RuntimeError, match=r"failed \(3\):\nno room"):
        run_tool([sys.executable, "-c", "print('no room'); raise SystemExit(3)"], home=tmp_path)
    with pytest.raises(RuntimeError, match="longer than"):
        run_tool([sys.executable, "-c", "import time; time.sleep(9)"], home=tmp_path, timeout_s=0.3)
