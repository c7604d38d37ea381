"""Reflex works from a folder of the home: the project stays as it was checked out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.home import PROJECT
from app.embedded.layout import Layout
from app.embedded.packages import keep_lock
from app.embedded.workplace import LOCK, folder, prepare
from app.ui.theme import PACKAGES


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "home")
    found.create(passable=False)
    return found


def test_it_holds_what_a_build_reads(layout: Layout) -> None:
    work = prepare(layout)
    assert (work / "rxconfig.py").read_bytes() == (PROJECT / "rxconfig.py").read_bytes()
    assert (work / LOCK / "bun.lock").read_bytes() == (PROJECT / LOCK / "bun.lock").read_bytes()
    assert (work / "assets" / "tokens.css").read_bytes() == (PROJECT / "assets" / "tokens.css").read_bytes()
    assert not any(path.is_symlink() for path in work.rglob("*")), "writing here must not reach the project"


def test_what_an_earlier_build_left_is_gone(layout: Layout) -> None:
    left = prepare(layout) / "assets" / "removed.css"
    left.write_text("x")
    (folder(layout) / LOCK / "package.json").write_text("{}")
    prepare(layout)
    assert not left.exists()
    assert json.loads((folder(layout) / LOCK / "package.json").read_text())["dependencies"]


def test_a_build_that_chose_the_same_packages_changes_no_lock_file(layout: Layout, tmp_path: Path) -> None:
    work = prepare(layout)
    project = tmp_path / "project"
    (project / LOCK).mkdir(parents=True)
    keep_lock(layout, project)
    made = work / LOCK / "package.json"
    made.write_text((PROJECT / LOCK / "package.json").read_text().replace("\n", ""))
    assert keep_lock(layout, project) == []
    made.write_text(made.read_text().replace('"react": "', '"react": "9'))
    assert keep_lock(layout, project) == ["package.json"]


def test_the_lock_files_are_kept_as_make_lock_writes_them(layout: Layout, tmp_path: Path) -> None:
    prepare(layout)
    (tmp_path / LOCK).mkdir()
    keep_lock(layout, tmp_path)
    for name in ("bun.lock", "package.json"):
        assert (tmp_path / LOCK / name).read_text() == (PROJECT / LOCK / name).read_text()


def test_every_package_that_the_theme_names_is_locked() -> None:
    locked = json.loads((PROJECT / LOCK / "package.json").read_text())["dependencies"]
    for package in PACKAGES:
        name, _, version = package.rpartition("@")
        assert locked[name] == version, "run `make lock`"
