"""Other engines, measured beside ours in a run, each in an environment of its own: `make bench PEERS=1` makes them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from statistics import median

import psycopg
from psycopg.conninfo import make_conninfo

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv-peers"
PEERS = tuple(sorted(found.stem for found in HERE.glob("*.lock")))
ASKED = bool(os.environ.get("OPSLOOM_BENCH_PEERS"))
_PATIENCE_S = 300


class Peers:
    """The figures of each peer for one workload, one for each of our runs, taken in between.

    ``server`` is the superuser's address: a peer that keeps its state in PostgreSQL has a database of its own on the
    same server, so that its durability is the same as ours. One that fails is left out from then on, with the reason.
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
            try:
                figures = _run(peer, self._workload, self._database(peer))
            except (subprocess.SubprocessError, ValueError, IndexError) as error:
                self._missing[peer] = _reason(error)
                continue
            for name, figure in figures.items():
                self._found.setdefault(name, []).append(figure)

    def medians(self) -> dict[str, float]:
        return {name: round(median(figures), 4) for name, figures in self._found.items()}

    @property
    def note(self) -> str:
        """What could not be measured and why, for the end of a workload's note."""
        if not ASKED:
            return ""
        return "".join(f"; {peer} not measured: {reason}" for peer, reason in self._missing.items())

    def _database(self, peer: str) -> str:
        name = f"bench_{peer}"
        with psycopg.connect(self._server, autocommit=True) as link:
            if link.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                link.execute(f'CREATE DATABASE "{name}"')
            host, port, user, password = (getattr(link.info, part) for part in ("host", "port", "user", "password"))
        return make_conninfo(host=host, port=port, user=user, password=password, dbname=name)


def _absent(peer: str) -> str | None:
    """Why a peer is not there, None where it is."""
    if (ENVIRONMENTS / peer / "installed").exists():
        return None
    told = ENVIRONMENTS / f"{peer}.missing"
    lines = told.read_text().strip().splitlines() if told.exists() else []
    return lines[-1][:200] if lines else "not installed"


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"took more than {_PATIENCE_S} s"
    said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
    return said[-1][:200] if said else type(error).__name__


def _run(peer: str, workload: str, dsn: str) -> dict[str, float]:
    """One run of the peer's script, in a group of its own, so that whatever it started ends with it."""
    command = [str(ENVIRONMENTS / peer / "bin" / "python"), str(HERE / f"{peer}_peer.py"), workload, dsn]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=_PATIENCE_S)
        finally:
            _end_group(process.pid)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, out, err)
    found: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    return found


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
