"""The browser's modules, run under bun: the document's against the server's cases, edits, answers and late checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUN = Path(sys.executable).with_name("bun")


@pytest.mark.parametrize("checks", ["document_check.js", "edits_check.js", "messages_check.js", "sight_check.js"])
def test_the_browsers_modules_do_as_they_say(checks: str) -> None:
    done = subprocess.run([BUN, "run", HERE / checks], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    failures = json.loads(done.stdout)
    assert failures == [], json.dumps(failures, indent=1)
