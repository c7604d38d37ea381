"""Archived history as files: for each client and month of a run's start one gzip file of JSON lines, with a manifest.

The file grows by parts, each a gzip member of its own, so that any gzip reader reads the whole. The manifest names
every part's place, length and SHA-256, and the runs of the last one: whether those were also marked in the database
tells after a crash whether that part counts. What the manifest does not name does not count and is cut off.

Everything here blocks: use asyncio.to_thread.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

Json = dict[str, Any]
SCHEMA = "opsloom/archive@1"


class ArchiveBusy(Exception):
    """Another scheduler is writing this month."""


class ArchiveDamaged(Exception):
    """The file is not what its manifest says."""


class Month:
    """The file of one client and month, held until the end of the ``with`` block of :func:`opened`."""

    def __init__(self, folder: Path, client_id: UUID, month: str) -> None:
        self._home = folder / str(client_id)
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.name = f"{client_id}/{month}.jsonl.gz"
        self._file = folder / self.name
        self._list = self._home / f"{month}.manifest.json"
        self.manifest: Json = {"schema": SCHEMA, "client": str(client_id), "month": month, "parts": [], "last_runs": []}
        if self._list.exists():
            self.manifest = json.loads(self._list.read_text("utf-8"))

    @property
    def last_runs(self) -> list[UUID]:
        """The runs of the last part: they count only where the database has them as archived."""
        return [UUID(each) for each in self.manifest["last_runs"]]

    def forget_last(self) -> None:
        """Take the last part back: its runs are still in the database."""
        self.manifest["parts"].pop()
        self.manifest["last_runs"] = []
        self._keep()

    def add(self, runs: Iterable[UUID], lines: Iterable[bytes], events: int) -> Json:
        """Write one part, on the disk when this returns. Gives its entry in the manifest."""
        ids = [str(run) for run in runs]
        packed = gzip.compress(b"".join(lines), mtime=0)
        at = self._length()
        with os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            file.truncate(at)
            file.seek(at)
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        part = {
            "offset": at,
            "bytes": len(packed),
            "sha256": hashlib.sha256(packed).hexdigest(),
            "runs": len(ids),
            "events": events,
        }
        self.manifest["parts"].append(part)
        self.manifest["last_runs"] = ids
        self._keep()
        return part

    def _length(self) -> int:
        parts = self.manifest["parts"]
        return int(parts[-1]["offset"] + parts[-1]["bytes"]) if parts else 0

    def _keep(self) -> None:
        """Put the new manifest in the old one's place, all at once."""
        fresh = self._list.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.manifest, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._list)
        folder = os.open(self._home, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def opened(folder: Path, client_id: UUID, month: str) -> Iterator[Month]:
    """The file of a month, for one writer at a time. Raises ArchiveBusy, OSError."""
    home = folder / str(client_id)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(home / f"{month}.lock", os.O_RDWR | os.O_CREAT, 0o600), "r+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ArchiveBusy(month) from error
        yield Month(folder, client_id, month)


def read(folder: Path, client_id: UUID, month: str) -> Iterator[Json]:
    """Every line of a month, each part checked against its hash. Raises ArchiveDamaged, OSError."""
    found = Month(folder, client_id, month)
    with (folder / found.name).open("rb") as file:
        for number, part in enumerate(found.manifest["parts"]):
            file.seek(part["offset"])
            packed = file.read(part["bytes"])
            if hashlib.sha256(packed).hexdigest() != part["sha256"]:
                raise ArchiveDamaged(f"{found.name}: part {number} is not what the manifest says")
            for line in gzip.decompress(packed).splitlines():
                yield json.loads(line)
