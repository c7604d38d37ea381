"""Private files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from app.core.files import write_json, write_private


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    write_private(path, "old")
    monkeypatch.setattr("os.fsync", lambda _handle: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        write_private(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_json_that_says_the_same_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    write_json(path, {"b": 1, "a": 2})
    before = path.stat()
    write_json(path, {"a": 2, "b": 1})
    assert path.stat().st_ino == before.st_ino
