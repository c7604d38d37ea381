"""`opsloom up` and `opsloom down` as a whole: interrupted, killed, in each other's way, and again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.core.home import PROJECT
from app.embedded.processes import belonging
from tests.product import Product, own_product
from tests.servers import kill_all

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def checked_out() -> dict[Path, bytes]:
    """The files of the project that a build could be tempted to write."""
    folders = [PROJECT / "reflex.lock", PROJECT / "assets"]
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    return {path: path.read_bytes() for path in [*files, PROJECT / ".gitignore"]}


@pytest.fixture(scope="module")
def mine() -> Iterator[Product]:
    """A product that these tests kill and start again, one after the other."""
    before = checked_out()
    with own_product() as made:
        done = made.up()
        assert done.returncode == 0, done.stderr + done.stdout
        assert checked_out() == before, "a start leaves the checkout as it was"
        yield made


def _ready(product: Product) -> bool:
    return product.opsloom("status").returncode == 0


def test_status_speaks_as_the_contract_says(mine: Product) -> None:
    done = mine.opsloom("status", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ready"], told["url"]) == (0, True, f"http://localhost:{mine.port}")
    parts = told["parts"]
    assert {name: parts[name]["state"] for name in ("postgres", "redis", "vault", "web", "workers")} == dict.fromkeys(
        ("postgres", "redis", "vault", "web", "workers"), "up"
    )
    assert parts["postgres"]["dsn"].startswith("postgresql://")
    assert parts["workers"]["count"] == 2
    assert set(parts["simulators"]) == {"m365", "aws", "http", "mail", "webhook"}
    shown = mine.opsloom("status").stdout
    assert mine.settings.database_url_web.split(":")[2].split("@")[0] not in shown, (
        "a person's screen shows no password"
    )


def test_the_simulators_are_driven_from_the_command_line(mine: Product) -> None:
    before = json.loads(mine.opsloom("sandbox", "dump", "m365").stdout)
    assert before
    assert json.loads(mine.opsloom("sandbox", "fail", "m365", "throttle", "--writes").stdout)["id"]
    assert mine.opsloom("sandbox", "mend", "m365").returncode == 0
    assert json.loads(mine.opsloom("sandbox", "dump", "m365").stdout) == before
    refused = mine.opsloom("sandbox", "fail", "aws", "nonsense")
    assert (refused.returncode, "throttle" in refused.stderr) == (1, True)


def test_a_second_up_restarts_nothing(mine: Product) -> None:
    before = mine.json("status")["parts"]
    assert mine.up().returncode == 0
    after = mine.json("status")["parts"]
    assert {name: part.get("pid") for name, part in after.items()} == {
        name: part.get("pid") for name, part in before.items()
    }


def test_a_port_that_is_taken_is_named_and_nothing_is_left(mine: Product) -> None:
    with socket.socket() as other, own_product() as second:
        other.bind(("127.0.0.1", second.port or 0))
        other.listen()
        done = second.up()
        assert done.returncode == 1
        assert str(second.port) in done.stderr
        assert "OPSLOOM_PORT" in done.stderr
        assert belonging(second.home) == []


def test_a_killed_supervisor_takes_everything_with_it_and_up_brings_it_back(mine: Product) -> None:
    for pid in belonging(mine.home):
        if b"app.embedded.supervisor" in _command(pid):
            os.kill(pid, signal.SIGKILL)
    until(lambda: belonging(mine.home) == [])
    assert mine.opsloom("status").returncode == 1
    assert mine.up().returncode == 0
    assert httpx.get(f"{mine.url}/healthz", trust_env=False).status_code == 200


def test_everything_killed_stops_not_the_next_up(mine: Product) -> None:
    kill_all(mine.home)
    assert mine.up().returncode == 0
    assert _ready(mine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_up_is_finished_by_the_next(mine: Product, number: signal.Signals) -> None:
    assert mine.opsloom("down").returncode == 0
    first = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "up"],
        cwd=PROJECT,
        env=mine.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: len(belonging(mine.home)) >= 4)
    first.send_signal(number)
    assert first.wait(20) != 0
    assert mine.up().returncode == 0
    assert _ready(mine)


def test_one_command_at_a_time(mine: Product) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "app.cli", "up"],
            cwd=PROJECT,
            env=mine.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    errors = [each.communicate(timeout=120)[1] for each in started]
    assert 0 in [each.returncode for each in started]
    for each, error in zip(started, errors, strict=True):
        assert each.returncode == 0 or "Another `opsloom up` or `down`" in error


def test_a_killed_worker_and_web_application_come_back(mine: Product) -> None:
    parts = mine.json("status")["parts"]
    for pid in (parts["web"]["pid"], *parts["workers"]["pids"]):
        os.kill(pid, signal.SIGKILL)
    until(lambda: mine.json("status")["ready"], 60)


def test_down_leaves_no_process(mine: Product) -> None:
    assert mine.opsloom("down").returncode == 0
    assert belonging(mine.home) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(mine.url, trust_env=False)
    assert mine.opsloom("down").returncode == 0, "once more is no error"
    assert mine.json("status")["ready"] is False


def _command(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
