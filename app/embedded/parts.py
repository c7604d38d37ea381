"""A part of the stack: one process that the supervisor keeps running."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

# Every process of a stack carries its home in this variable, so that what a killed start left behind is found again.
STACK_VARIABLE = "OPSLOOM_STACK_HOME"


@dataclass(frozen=True)
class Part:
    """How to start and stop one process.

    ``user`` is a system user's name where the process must not run as the caller. ``stop_signal`` asks it to end;
    after ``stop_timeout_s`` seconds its whole process group is killed. Parts of one ``rank`` stop together, those of a
    higher one first: the servers (0) outlive those who use them (1).
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 10.0
    rank: int = 0

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "env": dict(self.env), "stop_signal": int(self.stop_signal)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**{**raw, "argv": tuple(raw["argv"])})


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """The command line that runs a module with this interpreter."""
    return (sys.executable, "-m", module, *arguments)
