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
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

Json = dict[str, Any]
SCHEMA = "opsloom/archive@1"
_READ_BYTES = 1 << 20
_AS_GZIP = 16 + zlib.MAX_WBITS


class ArchiveBusy(Exception):
    """Another scheduler is writing this month, or whether its last part counts is not decided yet."""


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

    @contextmanager
    def part(self) -> Iterator[Part]:
        """Begin a part behind those that count. Without :meth:`keep` it never counts. Raises OSError."""
        at = self._length()
        with os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            file.truncate(at)
            file.seek(at)
            yield Part(file, at)

    def keep(self, part: Part) -> Json:
        """Have a part count, on the disk when this returns. Gives its entry in the manifest. Raises OSError."""
        entry = part.end()
        self.manifest["parts"].append(entry)
        self.manifest["last_runs"] = [str(run) for run in part.runs]
        self._keep()
        return entry

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


class Part:
    """One part while it is written: however large it grows, no more of it is in memory than what is added at once.

    ``size`` is in bytes before they are compressed.
    """

    def __init__(self, file: BinaryIO, at: int) -> None:
        self._file = file
        self._at = at
        self._sha256 = hashlib.sha256()
        self._packer = zlib.compressobj(zlib.Z_BEST_COMPRESSION, wbits=_AS_GZIP)
        self.runs: list[UUID] = []
        self.events = 0
        self.size = 0

    def add_run(self, run: UUID, line: str) -> None:
        """Begin a run with its own line of JSON."""
        self.runs.append(run)
        self._add(line)

    def add_events(self, lines: Sequence[str]) -> None:
        """Events of the run that was begun last, each a line of JSON."""
        self.events += len(lines)
        for line in lines:
            self._add(line)

    def end(self) -> Json:
        """Have all of it on the disk. Gives the part's entry for the manifest."""
        self._put(self._packer.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        return {
            "offset": self._at,
            "bytes": self._file.tell() - self._at,
            "sha256": self._sha256.hexdigest(),
            "runs": len(self.runs),
            "events": self.events,
        }

    def _add(self, line: str) -> None:
        whole = line.encode() + b"\n"
        self.size += len(whole)
        self._put(self._packer.compress(whole))

    def _put(self, packed: bytes) -> None:
        self._sha256.update(packed)
        self._file.write(packed)


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
            if _sha256(file, part) != part["sha256"]:
                raise ArchiveDamaged(f"{found.name}: part {number} is not what the manifest says")
            file.seek(part["offset"])
            with gzip.GzipFile(fileobj=file) as lines:
                for line in islice(lines, part["runs"] + part["events"]):
                    yield json.loads(line)


def _sha256(file: BinaryIO, part: Json) -> str:
    found, left = hashlib.sha256(), part["bytes"]
    file.seek(part["offset"])
    while left and (some := file.read(min(left, _READ_BYTES))):
        found.update(some)
        left -= len(some)
    return found.hexdigest()
