"""What a step type is that is no connector action: the engine decides it by itself, without touching a platform."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar

from app.engine.core.catalogue import BodyKind, Polls
from app.engine.core.document import DEFAULT_PORT
from app.engine.core.events import UNKNOWN_PORT
from app.engine.core.expressions import evaluate, evaluate_bool
from app.engine.core.values import Scope, Unknown
from connectors.base import Effect, NoOutput, Output, Params, Risk, Text

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class View:
    """What a flow step sees beside its parameters. ``mode`` is "plan" or "apply"."""

    node: str
    mode: Literal["plan", "apply"]
    scope: Scope

    def evaluate(self, expression: str) -> Any:
        """The value of a bare expression, or an Unknown. Raises ExpressionError."""
        return evaluate(expression, self.scope)

    def evaluate_bool(self, expression: str) -> bool | Unknown:
        """The truth of a bare expression, or an Unknown. Raises ExpressionError."""
        return evaluate_bool(expression, self.scope)


@dataclass(frozen=True)
class Decision:
    """The step is done and leaves by ``port``."""

    port: str = DEFAULT_PORT
    output: Any = None

    @property
    def unknown(self) -> bool:
        return self.port == UNKNOWN_PORT


@dataclass(frozen=True)
class Ask:
    """People must decide: ``count`` different people with one of ``roles`` (of ``people``, where some are named) say
    yes, or one says no.

    After ``deadline_s`` seconds (None: never) the step leaves by ``timeout_port``, or as if it were approved where
    ``silence`` says so and the client's policy allows it. People are reminded ``remind_s`` seconds before that.
    """

    title: str
    roles: tuple[str, ...]
    message: str = ""
    count: int = 1
    deadline_s: float | None = None
    approved_port: str = "approved"
    denied_port: str = "denied"
    timeout_port: str = "denied"
    people: tuple[str, ...] = ()
    silence: Literal["deny", "approve"] = "deny"
    remind_s: float | None = None


@dataclass(frozen=True)
class Fill:
    """People fill in a form: whoever holds one of ``roles``, or is one of ``people`` where some are named.

    ``fields`` is a JSON schema. After ``deadline_s`` seconds (None: never) ``default`` is taken for the answer, or the
    step leaves by ``timeout_port`` where there is none.
    """

    title: str
    fields: Mapping[str, Any]
    roles: tuple[str, ...]
    people: tuple[str, ...] = ()
    message: str = ""
    deadline_s: float | None = None
    remind_s: float | None = None
    default: Mapping[str, Any] | None = None
    port: str = DEFAULT_PORT
    timeout_port: str = "timeout"


@dataclass(frozen=True)
class Expand:
    """The step's body is done once for each of ``items``, at most ``limit`` at a time (0: all of them).

    ``first`` is the number of the first iteration, ``collect`` keeps a failure to its iteration. ``unknown``: while
    planning, how many there will be is not known.
    """

    items: tuple[Any, ...]
    first: int = 0
    limit: int = 0
    collect: bool = False
    unknown: bool = False


@dataclass(frozen=True)
class Iteration:
    """One iteration of a body that is over. ``error`` is what failed in it, None where it is done. ``evaluate`` gives
    the value of a bare expression as the end of the iteration sees it (or an Unknown; raises ExpressionError)."""

    index: int
    error: Mapping[str, Any] | None
    evaluate: Callable[[str], Any] = field(repr=False)


@dataclass(frozen=True)
class Failure:
    """The step fails with these words; ``code`` is stable."""

    message: str
    code: str = "failed_by_step"
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The failure as a run stores it, in the shape of a connector error."""
        return {
            "remedy": "Rejected",
            "code": self.code,
            "message": self.message,
            "field": None,
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class Sleep:
    """Nothing happens for ``seconds``, or until a moment; then the step leaves by ``port`` with ``output``."""

    seconds: float | None = None
    until: datetime | None = None
    output: Any = None
    port: str = DEFAULT_PORT


@dataclass(frozen=True)
class Poll:
    """The read ``action`` is asked every ``every_s`` seconds (more and more seldom where it ``slows``) until
    ``expression``, which sees its output as ``found``, is true; after ``deadline_s`` seconds the step leaves by
    ``timeout_port``."""

    action: str
    params: Mapping[str, Any]
    expression: str
    every_s: float
    deadline_s: float
    slows: bool = False
    port: str = DEFAULT_PORT
    timeout_port: str = "timeout"


Waiting = Ask | Fill | Sleep | Poll
Answer = Decision | Waiting | Expand | Failure


class FlowStep(ABC, Generic[P]):
    """Base of flow steps. A class stands in one file and in one line of the registry.

    ``ports`` are its ways out, the usual one first. ``effect`` "write" means that an intent is committed before it.
    ``open_output`` names the parameter whose keys are its output's fields; ``expressions`` are the parameters that are
    a bare expression, with the type it must have; ``ports_from`` names the parameter whose cases are ways out too;
    those in ``inner`` see the steps of the step's body; ``polls`` names those of a read action that it looks with,
    ``output_from`` the one that is the JSON schema of the output. ``asks_people``: it waits for an answer.
    """

    id: ClassVar[str]
    version: ClassVar[int] = 1
    title: ClassVar[Text]
    summary: ClassVar[Text]
    category: ClassVar[str] = "flow"
    icon: ClassVar[str]
    effect: ClassVar[Effect] = Effect.NONE
    risk: ClassVar[Risk] = Risk.LOW
    ports: ClassVar[tuple[str, ...]] = (DEFAULT_PORT,)
    timeout_s: ClassVar[float] = 300.0
    open_output: ClassVar[str | None] = None
    expressions: ClassVar[Mapping[str, str]] = {}
    ports_from: ClassVar[str | None] = None
    body: ClassVar[BodyKind | None] = None
    inner: ClassVar[tuple[str, ...]] = ()
    polls: ClassVar[Polls | None] = None
    output_from: ClassVar[str | None] = None
    asks_people: ClassVar[bool] = False
    Params: ClassVar[type[Params]]
    Output: ClassVar[type[Output]] = NoOutput

    @abstractmethod
    def decide(self, params: P, view: View) -> Answer:
        """What becomes of the step. Pure and quick; the same answer for the same arguments."""


class BodyStep(FlowStep[P]):
    """Base of steps that hold others. ``decide`` answers with Expand, or Decision where there is nothing to do."""

    @abstractmethod
    def finish(self, params: P, iterations: Sequence[Iteration], view: View) -> Answer:
        """What becomes of the step when the iterations that were laid out last are over."""
