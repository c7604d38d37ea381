"""Other engines, measured beside ours in a run, each in an environment of its own: `make bench PEERS=1` makes them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from urllib.parse import quote

import psycopg

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv-peers"
PEERS = tuple(sorted(found.stem for found in HERE.glob("*.lock")))
ASKED = bool(os.environ.get("OPSLOOM_BENCH_PEERS"))
# One run of one peer, the start of its server included. The slowest that was seen to end took a third of it.
_PATIENCE_S = {"tenants_10k": 400, "fanout_1000": 240}
_PATIENCE_ELSE_S = 180


class Peers:
    """The figures of each peer for one workload, one for each of our runs, taken in between.

    ``server`` is the superuser's address: a peer that keeps its state in PostgreSQL has a database of its own on the
    same server, so that its durability is the same as ours. One that fails is left out from then on, with the reason;
    what it had told before that is kept.
    """

    def __init__(self, server: str, workload: str) -> None:
        self._server = server
        self._workload = workload
        self._found: dict[str, list[float]] = {}
        self._missing = {peer: reason for peer in PEERS if (reason := _absent(peer))}

    def measure(self) -> None:
        """One run of each peer that does this workload."""
        if not ASKED:
            return
        for peer in PEERS:
            if peer in self._missing:
                continue
            figures, reason = run_peer(peer, self._workload, self._database(peer))
            if reason:
                self._missing[peer] = reason
            for name, figure in figures.items():
                self._found.setdefault(name, []).append(figure)

    def medians(self) -> dict[str, float]:
        """By the peer's name, in the unit of the workload."""
        return {name: figure for name, figure in self._all().items() if "|" not in name}

    @property
    def note(self) -> str:
        """What was measured besides, what could not be and why, for the end of a workload's note."""
        if not ASKED:
            return ""
        besides = "".join(
            f"; {name.replace('|', ' ')} {figure:g}" for name, figure in self._all().items() if "|" in name
        )
        return besides + "".join(f"; {peer} not measured: {reason}" for peer, reason in self._missing.items())

    def _all(self) -> dict[str, float]:
        return {name: float(f"{median(figures):.4g}") for name, figures in self._found.items()}

    def _database(self, peer: str) -> str:
        name = f"bench_{peer}"
        with psycopg.connect(self._server, autocommit=True) as link:
            if link.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                link.execute(f'CREATE DATABASE "{name}"')
            host, port, user, password = (getattr(link.info, part) for part in ("host", "port", "user", "password"))
        # Often a folder: peers go by the same socket file as we do.
        return f"postgresql://{quote(user)}:{quote(password)}@/{name}?host={quote(host, safe='')}&port={port}"


def run_peer(peer: str, workload: str, dsn: str) -> tuple[dict[str, float], str]:
    """One run of the peer's script: its figures, and why there are no more of them ("" where it came to its end).

    It runs in a group of its own and with a folder of its own for what it writes, so that nothing of it is left behind
    however it ends, the bench's own interruption included.
    """
    command = [str(ENVIRONMENTS / peer / "bin" / "python"), str(HERE / f"{peer}_peer.py"), workload, dsn]
    patience = _PATIENCE_S.get(workload, _PATIENCE_ELSE_S)
    with tempfile.TemporaryDirectory(prefix=f"bench-{peer}-", ignore_cleanup_errors=True) as folder:
        said, complaints = Path(folder) / "figures", Path(folder) / "complaints"
        with said.open("wb") as out, complaints.open("wb") as err:
            process = subprocess.Popen(
                command, stdout=out, stderr=err, env={**os.environ, "TMPDIR": folder}, start_new_session=True
            )
            try:
                reason = _ended(process, patience)
            finally:
                _end_group(process)
        last = complaints.read_text(errors="replace").strip().splitlines()[-1:]
        return _figures(said.read_text()), f"{reason}: {last[0][:200]}" if reason and last else reason


def _ended(process: subprocess.Popen[bytes], patience: float) -> str:
    try:
        status = process.wait(patience)
    except subprocess.TimeoutExpired:
        return f"took more than {patience:g} s"
    return f"its script ended with status {status}" if status else ""


def _figures(said: str) -> dict[str, float]:
    """Its figures are the lines that are JSON objects: an engine may print others, whatever they begin with."""
    found: dict[str, float] = {}
    for line in said.splitlines():
        if line.startswith('{"'):
            with contextlib.suppress(ValueError):
                found |= json.loads(line)
    return found


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _absent(peer: str) -> str | None:
    """Why a peer is not there, None where it is."""
    if (ENVIRONMENTS / peer / "installed").exists():
        return None
    told = ENVIRONMENTS / f"{peer}.missing"
    lines = told.read_text().strip().splitlines() if told.exists() else []
    return lines[-1][:200] if lines else "not installed"
