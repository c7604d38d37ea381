"""A peer that fails, hangs or leaves processes behind cannot spoil the bench."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import peers

Script = Callable[[str], None]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Makes the script of a peer called `some`, whose environment is this interpreter's."""
    programs = tmp_path / "some" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    monkeypatch.setattr(peers, "HERE", tmp_path)
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)

    def write(text: str) -> None:
        (tmp_path / "some_peer.py").write_text(text)

    return write


def test_figures_are_the_lines_that_are_objects(script: Script) -> None:
    script("""print('{"a": 1}'); print('hello'); print('{} told'); print('{"cut'); print('{"b|p99 ms": 2}')""")
    assert peers.run_peer("some", "chain_1000", "") == ({"a": 1, "b|p99 ms": 2}, "")


def test_what_was_told_before_a_failure_is_kept_and_the_failure_is_named(script: Script) -> None:
    script("""print('{"a": 1}', flush=True); raise SystemExit("no such queue")""")
    figures, reason = peers.run_peer("some", "chain_1000", "")
    assert figures == {"a": 1}
    assert reason == "its script ended with status 1: no such queue"


def test_a_hanging_peer_is_ended_with_all_it_started(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_PATIENCE_ELSE_S", 3)
    script(f"""
import subprocess, sys, tempfile
folder = tempfile.mkdtemp()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(tmp_path / "left")!r}, "w").write(f"{{child.pid}} {{folder}}")
print('{{"a": 1}}', flush=True)
child.wait()
""")
    assert peers.run_peer("some", "chain_1000", "") == ({"a": 1}, "took more than 3 s")
    child, folder = (tmp_path / "left").read_text().split()
    assert not Path(folder).exists()
    assert _gone(int(child))


def _gone(pid: int) -> bool:
    """Killed; the one that reaps it may take a moment."""
    for _ in range(500):
        try:
            state = (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False
