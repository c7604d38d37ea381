"""What can happen to a run. Events are facts: the stored history is a list of them, and the state is their fold.

``to_json`` gives ``{"kind", …}`` without fields that hold nothing; ``event_from_json`` reads it back. An event whose
meaning changes one day gets a ``v`` beside its kind; readers without it know version 1 only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, ClassVar, Literal

Json = Mapping[str, Any]
Outcome = Literal["succeeded", "failed", "cancelled"]

UNKNOWN_PORT = "?"
"""The port of a decision that cannot be made yet (plan mode): every way out is perhaps taken."""


@dataclass(frozen=True, slots=True)
class _Event:
    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """The event as stored."""
        found: dict[str, Any] = {"kind": self.kind}
        for name, default in _parts(self.kind):
            value = getattr(self, name)
            if default is MISSING or value != default:
                found[name] = list(value) if isinstance(value, tuple) else value
        return found


@cache
def _parts(kind: str) -> tuple[tuple[str, Any], ...]:
    """Names and defaults of the fields of events of this kind."""
    return tuple((part.name, part.default) for part in fields(_KINDS[kind]))


@dataclass(frozen=True, slots=True)
class StepIntended(_Event):
    """A step is about to act. ``key`` is the attempt's key, ``deadline`` an ISO time by the database's clock.

    ``change`` is what it is about to do, with its before-image (None for steps without one), ``params`` the rendered
    parameters.
    """

    kind: ClassVar[str] = "intended"
    node: str
    attempt: int = 1
    key: str = ""
    change: Json | None = None
    deadline: str | None = None
    params: Json | None = None


@dataclass(frozen=True, slots=True)
class StepSucceeded(_Event):
    """A step is done and leaves by ``port`` (UNKNOWN_PORT while planning). ``adopted``: a lost attempt had done it."""

    kind: ClassVar[str] = "succeeded"
    node: str
    output: Any = None
    change: Json | None = None
    port: str = "next"
    adopted: bool = False
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class StepExpanded(_Event):
    """A step's body is laid out, once for each of ``items``; ``first`` is the number of the first iteration.

    At most ``limit`` iterations go on at a time (0: all). ``collect``: a failure ends its iteration and no other.
    ``unknown``: only the run will tell how many there are (plan mode), one stands for them. ``params`` are the step's
    own, rendered.
    """

    kind: ClassVar[str] = "expanded"
    node: str
    items: Sequence[Any]
    first: int = 0
    limit: int = 0
    collect: bool = False
    unknown: bool = False
    params: Json | None = None


@dataclass(frozen=True, slots=True)
class StepFailed(_Event):
    """A try failed. With ``retry_at`` (an ISO time) the step waits for its next try, without it has failed for good."""

    kind: ClassVar[str] = "failed"
    node: str
    error: Json
    retry_at: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class StepSkipped(_Event):
    """A step does not run. ``port`` is set where the run goes on through it (a disabled step)."""

    kind: ClassVar[str] = "skipped"
    node: str
    port: str | None = None


@dataclass(frozen=True, slots=True)
class StepWaiting(_Event):
    """A step waits for something outside the run: ``what`` has ``kind`` (``approval``, ``time``, …) and its details."""

    kind: ClassVar[str] = "waiting"
    node: str
    what: Json


@dataclass(frozen=True, slots=True)
class StepUnknown(_Event):
    """Nobody knows whether the step acted; a person must say. It leaves this state by success, failure or a new try."""

    kind: ClassVar[str] = "unknown"
    node: str
    error: Json
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class StepKept(_Event):
    """A step of a run that begins in the middle: it is not run, and counts as an earlier run left it.

    ``state`` is how it ended there. ``edited``: a person wrote the output in place of the step's own.
    """

    kind: ClassVar[str] = "kept"
    node: str
    output: Any = None
    port: str | None = None
    state: Literal["succeeded", "failed", "skipped"] = "succeeded"
    error: Json | None = None
    edited: bool = False


@dataclass(frozen=True, slots=True)
class StepCancelled(_Event):
    """A step that waited or was to start does neither, because the run is ending."""

    kind: ClassVar[str] = "cancelled"
    node: str


@dataclass(frozen=True, slots=True)
class StepReset(_Event):
    """Failed, cancelled or unknown steps are to be tried again; the run goes on. Empty ``nodes`` means all of them."""

    kind: ClassVar[str] = "reset"
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CancelAsked(_Event):
    """Somebody asked to cancel the run: nothing new starts from here on."""

    kind: ClassVar[str] = "cancel_asked"
    by: str | None = None


@dataclass(frozen=True, slots=True)
class PauseAsked(_Event):
    """Somebody asked the run to pause: what is being done is finished, nothing new starts, no timer fires."""

    kind: ClassVar[str] = "pause_asked"
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Resumed(_Event):
    """The run goes on where it was paused."""

    kind: ClassVar[str] = "resumed"
    by: str | None = None


@dataclass(frozen=True, slots=True)
class RunFinished(_Event):
    """The run is over; steps that never started count as cancelled."""

    kind: ClassVar[str] = "finished"
    outcome: Outcome


Event = (
    StepIntended
    | StepSucceeded
    | StepExpanded
    | StepFailed
    | StepSkipped
    | StepWaiting
    | StepUnknown
    | StepKept
    | StepCancelled
    | StepReset
    | CancelAsked
    | PauseAsked
    | Resumed
    | RunFinished
)

_KINDS: dict[str, type[Event]] = {
    kind.kind: kind
    for kind in (
        StepIntended,
        StepSucceeded,
        StepExpanded,
        StepFailed,
        StepSkipped,
        StepWaiting,
        StepUnknown,
        StepKept,
        StepCancelled,
        StepReset,
        CancelAsked,
        PauseAsked,
        Resumed,
        RunFinished,
    )
}


# JSON has no tuples.
_TUPLES = {"nodes", "items"}


def event_from_json(stored: Json) -> Event:
    """The event that ``to_json`` gave. Raises ValueError for a kind that this version does not know."""
    kind = _KINDS.get(str(stored.get("kind")))
    if kind is None:
        raise ValueError(f"this version does not know run events of kind {stored.get('kind')!r}")
    values = {name: stored[name] for name, _ in _parts(kind.kind) if name in stored}
    for name in _TUPLES & values.keys():
        values[name] = tuple(values[name])
    found: Event = kind(**values)
    return found
