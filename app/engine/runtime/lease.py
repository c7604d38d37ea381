"""Keeps a worker's lease, in a process of its own: a call that holds the interpreter lock would stop a thread.

Run as ``python -m app.engine.runtime.lease`` with the address in OPSLOOM_LEASE_DSN and the worker's id as argument. It
renews every two seconds while its parent runs. When the pipe from the parent closes, the parent is gone for certain:
the lease is ended as proven, and its runs may be taken over without waiting for their calls' deadlines. A parent that
is stopped (SIGSTOP) is not renewed for, so that its lease runs out as it would on another machine.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import psycopg

LEASE_TTL_S = 10.0
RENEW_EVERY_S = 2.0


def _parent_is_stopped(pid: int) -> bool:
    """Whether the kernel says that ``pid`` is stopped. False where there is no /proc to ask."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in {"T", "t"}


def _execute(dsn: str, sql: str, parameters: tuple[object, ...]) -> bool:
    """Run one statement on a connection of its own; False where PostgreSQL is away."""
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=2) as connection:
            connection.execute(sql, parameters)
    except psycopg.Error:
        return False
    return True


def keep(dsn: str, worker_id: str, parent: int) -> None:
    """Renew until standard input closes, then end the lease."""
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], RENEW_EVERY_S)
        if readable and not os.read(sys.stdin.fileno(), 1024):
            break
        if not _parent_is_stopped(parent):
            _execute(dsn, "SELECT doors.renew_worker(%s, %s)", (worker_id, LEASE_TTL_S))
    _execute(dsn, "SELECT doors.drop_worker(%s)", (worker_id,))


if __name__ == "__main__":
    keep(os.environ["OPSLOOM_LEASE_DSN"], sys.argv[1], os.getppid())
