"""What a process says of itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from app.core import process


def test_host_and_process_are_named() -> None:
    assert process.process_name().endswith(f"-{os.getpid()}")


def test_the_version_changes_with_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PROJECT", tmp_path)
    source = tmp_path / "app" / "x.py"
    source.parent.mkdir()
    source.write_text("a = 1\n")

    def fresh() -> str:
        process.code_version.cache_clear()
        return process.code_version()

    try:
        first = fresh()
        assert re.fullmatch(r"[\d.]+\+[0-9a-f]{7}", first)
        assert fresh() == first
        source.write_text("a = 2\n")
        assert process.code_version() == first, "what was asked once stays: the process runs what it was started with"
        changed = fresh()
        source.rename(tmp_path / "app" / "y.py")
        assert len({first, changed, fresh()}) == 3
    finally:
        process.code_version.cache_clear()
