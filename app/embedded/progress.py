"""One line a step, with the time it took, on stderr: `--json` output stays alone on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Progress:
    """Writes ``  Database ................ 1.2 s``. On a terminal the line is rewritten while the step runs."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    width: int = 34

    @contextmanager
    def step(self, title: str) -> Iterator[Note]:
        """Show a step from its begin to its end. The note given may say how it ended (``"kept"``)."""
        note, began = Note(), time.monotonic()
        dotted = f"  {title} ".ljust(self.width, ".")
        if self.stream.isatty():
            self._write(dotted)
        try:
            yield note
        except BaseException:
            self._write(f"{self._start(dotted)} failed after {time.monotonic() - began:.1f} s\n")
            raise
        told = f" ({note.text})" if note.text else ""
        self._write(f"{self._start(dotted)} {time.monotonic() - began:.1f} s{told}\n")

    def say(self, text: str = "") -> None:
        self._write(f"{text}\n")

    def _start(self, dotted: str) -> str:
        return f"\r{dotted}" if self.stream.isatty() else dotted

    def _write(self, text: str) -> None:
        if not self.quiet:
            self.stream.write(text)
            self.stream.flush()


@dataclass
class Note:
    """What a step says of itself when it has ended."""

    text: str = ""
