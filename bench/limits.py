"""What the same machine does in the same run, without an engine."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median

import psycopg

from app.core.ids import new_id


def insert_rate(dsn: str, rows: int = 1500) -> float:
    """One-row autocommit INSERTs a second by one psycopg connection, into a table of its own."""
    with psycopg.connect(dsn, autocommit=True) as link:
        link.execute("CREATE TABLE IF NOT EXISTS bench_limit (id uuid PRIMARY KEY, at timestamptz, body jsonb)")
        statement = "INSERT INTO bench_limit VALUES (%s, clock_timestamp(), %s)"
        body = '{"kind": "succeeded", "node": "n1"}'
        for _ in range(100):
            link.execute(statement, (new_id(), body))
        began = time.perf_counter()
        for _ in range(rows):
            link.execute(statement, (new_id(), body))
        return rows / (time.perf_counter() - began)


def fsync_us(folder: Path, times: int = 200) -> float:
    """Median time of an fsync after a write of 8 KiB, in microseconds."""
    block, found = b"x" * 8192, []
    with (folder / "fsync.probe").open("wb") as file:
        for _ in range(times):
            file.write(block)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            found.append((time.perf_counter() - began) * 1e6)
    return median(found)
