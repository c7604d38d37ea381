"""Where the data lives when nobody says so."""

from __future__ import annotations

from pathlib import Path

from app.core.home import SHARED_STATE, default_home, passable


def test_an_ordinary_user_keeps_it_in_the_project(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert default_home(tmp_path, as_root=False) == tmp_path / ".opsloom"


def test_root_keeps_it_in_an_open_project_only(tmp_path: Path) -> None:
    closed = tmp_path / "closed" / "project"
    closed.mkdir(parents=True)
    closed.parent.chmod(0o700)
    assert not passable(closed)
    home = default_home(closed, as_root=True)
    assert home.parent == SHARED_STATE
    assert home != default_home(tmp_path / "closed", as_root=True), "two projects share nothing"


def test_the_root_folder_is_passable() -> None:
    assert passable(Path("/"))
    assert default_home(Path("/"), as_root=True) == Path("/.opsloom")
