"""What the core knows of step types: plain data, so that nothing here depends on a connector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from app.engine.core.document import DEFAULT_PORT

Effect = Literal["none", "read", "write"]
Risk = Literal["low", "medium", "high"]
BodyKind = Literal["each", "repeat", "workflow"]
Words = Mapping[str, str]  # by language: {"en": …, "fr": …}


@dataclass(frozen=True)
class SecretInfo:
    """A secret that a step makes and keeps in the vault."""

    name: str
    title: Words


@dataclass(frozen=True)
class Polls:
    """Names of the parameters of a step that looks until something is so: the read ``action``, its ``params``, and the
    expression ``until``, which sees the action's output as ``found``."""

    action: str
    params: str
    until: str

    def as_json(self) -> dict[str, str]:
        return {"action": self.action, "params": self.params, "until": self.until}


@dataclass(frozen=True)
class StepInfo:
    """One step type: who it is, what it takes and gives, and what it can do.

    ``effect`` "write" means that an intent is committed before it runs. ``connection`` is the platform it needs a
    connection of, or None. ``ports`` are the ways out, the usual one first; ``error`` is not listed: every step has it
    once its ``on_error`` is "branch". ``open_output`` names the parameter whose keys are the output's fields;
    ``expressions`` are the parameters that are a bare expression (no braces), with the type it must have ("bool" or
    "any"). ``body`` says how the document inside a node of this type is laid out: once for each item, round after
    round, or once with inputs of its own; ``inner`` are the expressions that see the body's steps.
    ``ports_from`` names the parameter that adds ways out, before those of the type: a list of objects with ``name``
    (the port) and ``when`` (a bare expression that is true or false). ``polls``: it looks with a read action until
    something is so. A parameter whose schema has ``x-when`` ([other, value]) counts only where the other one has that
    value. ``output_from`` names the parameter that is the JSON schema of the output. ``field_words`` are the
    words of fields of its changes that are no parameters. ``asks_people``: it waits for what somebody answers.
    """

    id: str
    version: int
    title: Words
    summary: Words
    category: str
    icon: str
    effect: Effect
    risk: Risk = "low"
    reversible: bool = True
    irreversible_reason: Words | None = None
    ports: tuple[str, ...] = (DEFAULT_PORT,)
    params_schema: Mapping[str, Any] = field(default_factory=dict)
    output_schema: Mapping[str, Any] = field(default_factory=dict)
    connection: str | None = None
    permissions: tuple[str, ...] = ()
    secrets: tuple[SecretInfo, ...] = ()
    timeout_s: float = 300.0
    defaults: Mapping[str, Any] = field(default_factory=dict)
    open_output: str | None = None
    expressions: Mapping[str, str] = field(default_factory=dict)
    ports_from: str | None = None
    body: BodyKind | None = None
    inner: tuple[str, ...] = ()
    polls: Polls | None = None
    output_from: str | None = None
    field_words: Mapping[str, Words] = field(default_factory=dict)
    asks_people: bool = False

    @property
    def writes(self) -> bool:
        return self.effect == "write"

    @property
    def is_tried(self) -> bool:
        """Whether ``retry`` and ``timeout_s`` mean anything: what fails inside a body is tried again there, people
        answer once, and neither is a call that could be cut off."""
        return self.body is None and not self.asks_people

    def ports_with(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """The ways out of a step with these parameters, without ``error``."""
        return (*case_names(params.get(self.ports_from)), *self.ports) if self.ports_from else self.ports

    @cached_property
    def conditional(self) -> Mapping[str, tuple[str, Any]]:
        """The parameters that count only where another one has a value, with that one and the value."""
        properties = self.params_schema.get("properties") or {}
        return {name: (spec["x-when"][0], spec["x-when"][1]) for name, spec in properties.items() if "x-when" in spec}

    @cached_property
    def _markup(self) -> frozenset[str]:
        properties = self.params_schema.get("properties") or {}
        return frozenset(name for name, spec in properties.items() if "x-markup" in spec)

    def markup(self, param: str) -> bool:
        """Whether ``param`` is HTML."""
        return param in self._markup

    def counts(self, param: str, params: Mapping[str, Any]) -> bool:
        """Whether ``param`` means anything beside the other ``params``."""
        if param not in self.conditional:
            return True
        other, value = self.conditional[param]
        return bool(params.get(other, self.defaults.get(other)) == value)

    def polled(self, params: Mapping[str, Any]) -> str | None:
        """The read action that a step with these parameters looks with, if it does."""
        if self.polls is None or not self.counts(self.polls.action, params):
            return None
        found = params.get(self.polls.action)
        return found if isinstance(found, str) and found else None

    def platform(self, params: Mapping[str, Any]) -> str | None:
        """The platform that a step with these parameters needs a connection of."""
        polled = self.polled(params)
        return polled.partition(".")[0] if polled else self.connection

    def as_json(self) -> dict[str, Any]:
        """The step type as ``GET /actions`` and the builder's palette give it."""
        return {
            "id": self.id,
            "version": self.version,
            "title": dict(self.title),
            "summary": dict(self.summary),
            "category": self.category,
            "icon": self.icon,
            "effect": self.effect,
            "risk": self.risk,
            "reversible": self.reversible,
            "irreversible_reason": dict(self.irreversible_reason) if self.irreversible_reason else None,
            "ports": list(self.ports),
            "params": dict(self.params_schema),
            "output": dict(self.output_schema),
            "connection": self.connection,
            "permissions": list(self.permissions),
            "secrets": [{"name": s.name, "title": dict(s.title)} for s in self.secrets],
            "timeout_s": self.timeout_s,
            "defaults": dict(self.defaults),
            "open_output": self.open_output,
            "expressions": dict(self.expressions),
            "ports_from": self.ports_from,
            "body": self.body,
            "inner": list(self.inner),
            "output_from": self.output_from,
            "polls": self.polls.as_json() if self.polls else None,
            "field_words": {name: dict(words) for name, words in self.field_words.items()},
            "asks_people": self.asks_people,
        }


def case_names(cases: Any) -> list[str]:
    """The names in a list of cases, as far as they are texts: what is being drawn may be anything."""
    items = cases if isinstance(cases, list | tuple) else ()
    return [case["name"] for case in items if isinstance(case, Mapping) and isinstance(case.get("name"), str)]


class Catalogue(Mapping[str, StepInfo]):
    """Every step type by its id, in the order the palette shows them."""

    def __init__(self, steps: Iterable[StepInfo]) -> None:
        self._steps: dict[str, StepInfo] = {}
        for step in steps:
            if step.id in self._steps:
                raise ValueError(f"two step types are called {step.id}")
            self._steps[step.id] = step

    def __getitem__(self, step: str) -> StepInfo:
        return self._steps[step]

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def as_json(self) -> list[dict[str, Any]]:
        return [step.as_json() for step in self._steps.values()]
