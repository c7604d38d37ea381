"""The simulator as a process: how the demonstration runs it."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.contract.m365.conftest import APPS


@contextmanager
def process(folder: Path, *options: str) -> Iterator[int]:
    """A simulator with its state in ``folder``; gives its port."""
    command = [sys.executable, "-m", "connectors.m365.simulator", "--port", "0", "--state", str(folder / "state.json")]
    started = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        said = re.search(r":(\d+)$", started.stdout.readline().strip())
        assert said is not None
        yield int(said.group(1))
    finally:
        started.terminate()
        assert started.wait(10) == 0
        assert started.stdout is not None
        started.stdout.close()


def test_data_and_certificate_survive_a_restart(tmp_path: Path) -> None:
    options = ("--tls-dir", str(tmp_path / "tls"))
    with process(tmp_path, *options) as port:
        url = f"http://localhost:{port}"
        assert httpx.get(f"{url}/_sim/health").json() == {"ready": True, "tenants": 0}
        first = httpx.post(f"{url}/_sim/seed", json={"demo": True, "apps": APPS}).json()["tenants"]
        assert [one["created"] for one in first] == [True, True]
        trusted = ssl.create_default_context(cafile=str(tmp_path / "tls" / "simulator.crt"))
        form = {**APPS["contoso"], "grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}
        signed_in = httpx.post(f"https://localhost:{port}/contoso.com/oauth2/v2.0/token", data=form, verify=trusted)
        token = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
        moved = httpx.patch(f"{url}/v1.0/users/anna.berg@contoso.com", json={"city": "Lyon"}, headers=token)
        assert moved.status_code == 204
    certificate = (tmp_path / "tls" / "simulator.crt").read_bytes()
    assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0
    assert APPS["contoso"]["client_secret"] not in (tmp_path / "state.json").read_text()
    with process(tmp_path, *options) as port:
        url = f"http://localhost:{port}"
        again = httpx.post(f"{url}/_sim/seed", json={"demo": True, "apps": APPS}).json()["tenants"]
        assert [one["created"] for one in again] == [False, False]
        shown = httpx.get(f"{url}/v1.0/users/anna.berg@contoso.com?$select=city", headers=token).json()
        assert shown["city"] == "Lyon"
    assert (tmp_path / "tls" / "simulator.crt").read_bytes() == certificate


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "connectors.m365.simulator", "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "cannot start" in ended.stderr


@pytest.mark.parametrize("options", [["--tls-cert", "x"], ["--port", "x"], []])
def test_bad_usage(options: list[str]) -> None:
    command = [sys.executable, "-m", "connectors.m365.simulator", *options]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 2
