"""What a proof found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A rule that does not hold, or (``leak``) something that crossed from one client to another."""

    what: str
    leak: bool = False


@dataclass
class Report:
    """How many checks were made and which of them failed."""

    checks: int = 0
    failed: list[Failure] = field(default_factory=list)

    def check(self, holds: bool, what: str, *, leak: bool = False) -> None:
        """Count a check; ``what`` names the object and what is wrong with it."""
        self.checks += 1
        if not holds:
            self.failed.append(Failure(what, leak))

    def merge(self, other: Report) -> None:
        self.checks += other.checks
        self.failed += other.failed

    @property
    def leaks(self) -> int:
        return sum(failure.leak for failure in self.failed)

    @property
    def failures(self) -> list[str]:
        return [failure.what for failure in self.failed]

    @property
    def ok(self) -> bool:
        return not self.failed

    def as_json(self) -> dict[str, Any]:
        return {"checks": self.checks, "leaks": self.leaks, "failures": self.failures}
