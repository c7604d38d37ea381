"""Numbers of several processes are added up, and those of ended ones can be dropped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
from app.core import metrics
metrics.audit_events.labels("tested", "success").inc()
"""
READ = """
from prometheus_client import generate_latest
from app.core import metrics
{first}
print(generate_latest(metrics.registry()).decode())
"""


def run(script: str, home: Path, **env: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**clean, "OPSLOOM_HOME": str(home), **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout


def test_processes_of_the_stack_share_their_numbers(tmp_path: Path) -> None:
    for _ in range(2):
        run(SCRIPT, tmp_path, OPSLOOM_BUILD="x")
    line = 'audit_events_total{action="tested",outcome="success"} 2.0'
    assert line in run(READ.format(first=""), tmp_path, OPSLOOM_BUILD="x")
    assert line not in run(READ.format(first="metrics.forget_dead()"), tmp_path, OPSLOOM_BUILD="x")


def test_a_command_keeps_its_numbers_to_itself(tmp_path: Path) -> None:
    run(SCRIPT, tmp_path)
    assert not (tmp_path / "metrics").exists()
