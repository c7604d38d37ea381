"""Ports and passwords that are remembered."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from app.core.errors import Unavailable
from app.embedded.layout import Layout
from app.embedded.state import LOOPBACK, State, free_port, is_free


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "home")
    found.create(passable=False)
    return found


def test_passwords_are_made_once_and_kept(layout: Layout) -> None:
    state = State.load(layout)
    first = state.password("valkey")
    state.save(layout)
    assert State.load(layout).password("valkey") == first
    assert state.password("postgres") != first
    assert len(first) >= 32
    assert stat.S_IMODE(layout.state_file.stat().st_mode) == 0o600


def test_a_damaged_file_is_named(layout: Layout) -> None:
    layout.state_file.write_text('{"ports": ')
    with pytest.raises(Unavailable, match=r"embedded\.json"):
        State.load(layout)


def test_a_port_that_someone_took_is_replaced_unless_it_is_ours(layout: Layout) -> None:
    state = State.load(layout)
    port = state.port("web")
    assert state.port("web") == port
    with socket.socket() as other:
        other.bind((LOOPBACK, port))
        other.listen()
        assert not is_free(port)
        assert state.port("web", running=True) == port
        assert state.port("web") != port


def test_free_ports_differ_from_those_to_avoid() -> None:
    taken = [free_port() for _ in range(5)]
    assert free_port(avoid=taken) not in taken


@pytest.mark.parametrize(("passable", "mode"), [(False, 0o700), (True, 0o711)])
def test_folders_are_private(tmp_path: Path, passable: bool, mode: int) -> None:
    layout = Layout(tmp_path / "home")
    layout.create(passable=passable)
    assert stat.S_IMODE(layout.home.stat().st_mode) == mode
    for folder in (layout.openbao, layout.keys, layout.logs, layout.run, layout.valkey, layout.simulators):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


def test_folders_above_a_passable_home_are_passable_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        Layout(tmp_path / "above" / "home").create(passable=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "above").stat().st_mode) == 0o711
