"""What a connector is: a manifest, a typed configuration, a client and a list of actions.

An action is a step type. Its class says everything in one place: identity, words in both languages, parameters, output,
how risky it is, and ``plan``, ``apply``, ``recover``, ``plan_undo`` and ``undo``. Palette, form, documentation, REST
schema and validation are derived from it. Nothing here knows of the application: credentials, clock and endpoints come
from outside.
"""

from __future__ import annotations

import secrets
import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

from connectors.errors import OutcomeUnknown

Json = dict[str, Any]


class Effect(StrEnum):
    """Whether a step only looks (``read``), changes something outside (``write``) or neither (``none``)."""

    NONE = "none"
    READ = "read"
    WRITE = "write"


class Risk(StrEnum):
    """How much harm a mistaken step does; a client's approval policy speaks of it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True)
class Text:
    """A few words a person reads, in each language of the interface."""

    en: str
    fr: str

    def as_json(self) -> dict[str, str]:
        return {"en": self.en, "fr": self.fr}


def choices(action: str, *, value: str, label: str, detail: str | None = None, many: bool = False) -> Json:
    """Form hint: offer the rows that the read action ``action`` gives.

    ``value`` names the field of a row that is stored, ``label`` the one that is shown and ``detail`` one shown beside
    it. The read action's ``Output`` has the rows under ``items``.
    """
    return {"action": action, "value": value, "label": label, "detail": detail, "many": many}


def param(
    en: str,
    fr: str,
    *,
    default: Any = ...,
    default_factory: Callable[[], Any] | None = None,
    help_en: str = "",
    help_fr: str = "",
    live: Json | None = None,
    options: Mapping[str, Text] | None = None,
    widget: str | None = None,
    placeholder: str | None = None,
    asked_when: tuple[str, str] | None = None,
    markup: bool = False,
    **constraints: Any,
) -> Any:
    """A pydantic field with its label and help in both languages and its form hints.

    ``widget`` is one of ``text``, ``textarea``, ``select``, ``multiselect``, ``switch``, ``number``, ``expression``,
    ``key_values``, ``json``, ``rows``, ``schema``, ``read_action``; when left out the form derives it from the type.
    ``options`` are words for the values of a fixed choice. ``asked_when`` (field, value): the field counts only where
    another one has that value. ``markup``: it is HTML, in which what expressions put between other signs is text and
    never a tag. ``constraints`` go to :func:`pydantic.Field`.
    """
    extra: Json = {"x-title": {"en": en, "fr": fr}}
    if help_en or help_fr:
        extra["x-help"] = {"en": help_en, "fr": help_fr}
    if live:
        extra["x-choices"] = live
    if options:
        extra["x-options"] = {value: words.as_json() for value, words in options.items()}
    if widget:
        extra["x-widget"] = widget
    if placeholder:
        extra["x-placeholder"] = placeholder
    if asked_when:
        extra["x-when"] = list(asked_when)
    if markup:
        extra["x-markup"] = "html"
    shared: Json = {"title": en, "description": help_en or None, "json_schema_extra": extra, **constraints}
    if default_factory is not None:
        return Field(default_factory=default_factory, **shared)
    return Field(default, **shared)


def refused(message: str, *, code: str) -> PydanticCustomError:
    """A wrong value, for a validator to raise: ``code`` has words of its own, the field is the validator's."""
    # Braces would be taken for places to fill in.
    return PydanticCustomError("value_error", "{said}", {"said": message, "code": code})


class Params(BaseModel):
    """Base of an action's parameters. Unknown names are refused, so that a misspelt one is found while drawing."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def words_of(params: type[BaseModel]) -> dict[str, Text]:
    """The labels of a form's fields, for a change that speaks of fields which another action sets."""
    properties = params.model_json_schema()["properties"]
    return {name: Text(**spec["x-title"]) for name, spec in properties.items() if "x-title" in spec}


class Output(BaseModel):
    """Base of what an action gives to later steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoOutput(Output):
    """For actions that later steps learn nothing from."""


ChangeKind = Literal["create", "update", "delete", "none", "unknown"]


class Change(BaseModel):
    """What one step would do, or did, to one target.

    ``target`` is ``platform.resource:key`` in lower case (``m365.user:anna@contoso.com``); it is the same before and
    after the target exists, so that plans can be compared with what was done. ``before`` and ``after`` hold only the
    fields that the step speaks of; ``before`` of a create and ``after`` of a delete are ``None``. ``volatile`` names
    fields of ``after`` that the platform chooses (ids, addresses): they are left out of the seal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ChangeKind
    target: str
    label: str = ""
    before: Json | None = None
    after: Json | None = None
    reversible: bool = True
    irreversible_reason: Text | None = None
    note: Text | None = None
    volatile: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        return self.kind != "none"


class World:
    """Planned states laid over what a platform says, so that a later step's plan sees an earlier step's change."""

    def __init__(self) -> None:
        self._changes: dict[str, list[Change]] = {}

    def record(self, change: Change) -> None:
        """Remember a planned change of an earlier step."""
        if change.writes:
            self._changes.setdefault(change.target, []).append(change)

    def over(self, target: str, present: Json | None) -> Json | None:
        """``present`` (None: not there) as it will be after the planned changes of ``target``."""
        state = present
        for change in self._changes.get(target, ()):
            if change.kind == "delete":
                state = None
            elif change.after is not None:
                state = {**(state or {}), **change.after}
        return state

    def creates(self, target: str) -> bool:
        """Whether an earlier step of this plan creates ``target``."""
        return any(change.kind == "create" for change in self._changes.get(target, ()))

    def planned(self, prefix: str) -> list[Change]:
        """Every planned change whose target starts with ``prefix`` (to count seats that earlier steps will take)."""
        return [c for target, found in self._changes.items() if target.startswith(prefix) for c in found]


@dataclass(frozen=True)
class Planned:
    """What ``plan`` found. ``output`` is what ``apply`` would give; fields nobody can know yet are left out of it."""

    change: Change
    output: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Applied:
    """What ``apply`` did. ``change`` carries the state read back after the write; ``adopted`` says that a former
    attempt, whose answer was lost, had done it."""

    change: Change
    output: Json = field(default_factory=dict)
    adopted: bool = False


@dataclass(frozen=True)
class Done:
    """A step as it was recorded when it was done: what undo starts from."""

    params: Json
    change: Change
    output: Json


@dataclass(frozen=True)
class UndoPlan:
    """How to take a change back. ``change.kind`` is ``none`` when nothing is left to do.

    ``drift`` holds, by field, ``{"expected", "found"}`` where the present is not as the step left it: the run then
    shows it and asks before it writes.
    """

    change: Change
    drift: Json | None = None


@dataclass(frozen=True)
class Attempt:
    """One try at one write.

    ``key`` (a UUID's text) is the same for every re-delivery of the same intent: an action puts it on what it creates
    and adopts after a crash only what carries it. ``secrets`` holds the values of ``Action.secrets``, generated and
    kept in the vault before the write; they must not come back in an output. ``deadline`` bounds the call.
    """

    key: str
    number: int
    deadline: datetime
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)


@dataclass(frozen=True)
class SecretSpec:
    """A secret that an action needs made: its name, its words, and how to make it."""

    name: str
    title: Text
    generate: Callable[[], str]


def generate_password(length: int = 20) -> str:
    """A random password with at least one lower-case letter, upper-case letter, digit and sign, without look-alikes."""
    classes = [
        "".join(set(string.ascii_lowercase) - set("l")),
        "".join(set(string.ascii_uppercase) - set("IO")),
        "23456789",
        "-_!%*+=?",
    ]
    picked = [secrets.choice(letters) for letters in classes]
    picked += [secrets.choice("".join(classes[:3])) for _ in range(length - len(picked))]
    secrets.SystemRandom().shuffle(picked)
    return "".join(picked)


class Client(Protocol):
    """A signed-in link to one platform for one client. ``client_id`` is the client whose credential it holds."""

    client_id: UUID

    async def aclose(self) -> None: ...


P = TypeVar("P", bound=Params)
O = TypeVar("O", bound=Output)  # noqa: E741 - the usual letter beside P and C
C = TypeVar("C", bound=Client)


class Action(ABC, Generic[C, P]):
    """What every step on a platform says of itself.

    ``id`` is ``platform.resource.verb``. ``version`` grows when the meaning of the parameters or of the change does; it
    is part of a plan's seal. ``permissions`` are the platform's own names. ``timeout_s`` bounds one attempt.
    ``field_words`` are what people call the fields of its changes that are no parameters of its own.
    """

    id: ClassVar[str]
    version: ClassVar[int] = 1
    title: ClassVar[Text]
    summary: ClassVar[Text]
    category: ClassVar[str]
    icon: ClassVar[str]
    effect: ClassVar[Effect]
    risk: ClassVar[Risk] = Risk.LOW
    reversible: ClassVar[bool] = True
    irreversible_reason: ClassVar[Text | None] = None
    permissions: ClassVar[tuple[str, ...]] = ()
    timeout_s: ClassVar[float] = 300.0
    field_words: ClassVar[Mapping[str, Text]] = {}
    Params: ClassVar[type[Params]]
    Output: ClassVar[type[Output]] = NoOutput


class ReadAction(Action[C, P]):
    """An action that only looks. It may be called at any time, also while planning.

    ``volatile`` are fields of the output that differ from look to look although nothing has changed.
    """

    effect: ClassVar[Effect] = Effect.READ
    volatile: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    async def read(self, client: C, params: P) -> Output: ...


class WriteAction(Action[C, P]):
    """An action that states what should be true: read, compare, write only the difference."""

    effect: ClassVar[Effect] = Effect.WRITE
    risk: ClassVar[Risk] = Risk.MEDIUM
    secrets: ClassVar[tuple[SecretSpec, ...]] = ()

    @abstractmethod
    async def plan(self, client: C, params: P, world: World) -> Planned:
        """What ``apply`` would do now. Reads only.

        Raises a :class:`~connectors.errors.ConnectorError` where the platform would refuse (``Rejected`` with the
        field, ``NotFound``, ``Conflict``).
        """

    @abstractmethod
    async def apply(self, client: C, params: P, change: Change, attempt: Attempt) -> Applied:
        """Do exactly ``change`` (never of kind ``none``) and read back what became of it."""

    async def recover(self, client: C, params: P, change: Change, attempt: Attempt) -> Applied | None:
        """Find out what a lost attempt did: what it did, or None where it surely did nothing.

        The default is for writes that are harmless to repeat: the present is compared with the change. An action that
        creates something overrides it and adopts only what carries ``attempt.key``.
        """
        planned = await self.plan(client, params, World())
        if planned.change.kind == "none":
            return Applied(change=change, output=planned.output, adopted=True)
        if planned.change == change:
            return None
        raise OutcomeUnknown(
            f"The answer to this step was lost and {change.target} is now neither as before nor as planned.",
            details={"found": planned.change.before},
        )

    async def plan_undo(self, client: C, done: Done, world: World | None = None) -> UndoPlan:
        """How to take ``done`` back from the present state. Reads only.

        ``world`` holds what the same undo takes back before this step: it is no drift.
        """
        raise NotImplementedError(f"{self.id} is not reversible")  # reversible actions override it (contract suite)

    async def undo(self, client: C, done: Done, change: Change, attempt: Attempt) -> Applied:
        """Do the reverse ``change`` that ``plan_undo`` gave."""
        raise NotImplementedError(f"{self.id} is not reversible")

    async def recover_undo(self, client: C, done: Done, change: Change, attempt: Attempt) -> Applied | None:
        """As ``recover``, for a lost attempt at the undo."""
        again = await self.plan_undo(client, done)
        if again.change.kind == "none":
            return Applied(change=change, adopted=True)
        if again.change == change:
            return None
        raise OutcomeUnknown(
            f"The answer to this undo was lost and {change.target} is neither as before nor as planned.",
            details={"found": again.change.before},
        )


@dataclass(frozen=True)
class PermissionReport:
    """What testing a connection found. ``tenant`` is the platform's own id of the tenant it leads to."""

    tenant: str
    tenant_name: str
    granted: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Rate:
    """How many operations a second a connection bears, and how many at once after a pause.

    An operation is what a step does once: one look, or one act. It takes one request, or a few.
    """

    per_s: float
    burst: int


def rate_param() -> Any:
    """The field of a configuration by which one connection says how fast it may be asked."""
    return param(
        "Operations a minute",
        "Opérations par minute",
        default=None,
        help_en="At most, by all runs together. Leave it empty to keep to what the platform bears.",
        help_fr="Au plus, pour toutes les exécutions ensemble. À laisser vide pour s’en tenir à la plateforme.",
        ge=1,
        le=60_000,
    )


@dataclass(frozen=True)
class Environment:
    """What the deployment gives every client: endpoint overrides (never from a connection), and the clock.

    ``endpoints`` of a platform is a mapping such as ``{"graph": url, "authority": url}``; empty means the vendor's own.
    ``observe`` is told ``(platform, operation, seconds, outcome)`` after each call to the platform. ``throttled`` is
    told for how many seconds the platform asks to be left alone, as soon as it does, from any thread: a client that
    waits and asks again by itself would be the only one to know. ``networks`` are the private networks that connections
    whose address a client chooses may lead to (:mod:`connectors.net`).
    """

    endpoints: Mapping[str, str] = field(default_factory=dict)
    now: Callable[[], datetime] | None = None
    observe: Callable[[str, str, float, str], None] | None = None
    networks: tuple[str, ...] = ()
    throttled: Callable[[float], None] | None = None


class Connector(ABC):
    """A platform: its words, its configuration and its actions.

    ``Config`` is a pydantic model whose secret fields are ``SecretStr``; the others are stored beside the connection.
    ``address_fields`` name those of them in which a client says where its requests go. Only protocols without a vendor
    have any, and what they name passes :class:`connectors.net.Guard`.
    """

    id: ClassVar[str]
    title: ClassVar[Text]
    icon: ClassVar[str]
    Config: ClassVar[type[BaseModel]]
    actions: ClassVar[Sequence[type[Action[Any, Any]]]]
    rate: ClassVar[Rate | None] = None
    address_fields: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def open(self, client_id: UUID, config: BaseModel, environment: Environment) -> Client:
        """A client for ``client_id``. Cheap: signing in happens at the first call."""

    @abstractmethod
    async def test(self, client: Any) -> PermissionReport:
        """Sign in afresh and say which permissions are there. Raises ``AuthFailed`` where it cannot."""

    def destinations(self, config: BaseModel) -> frozenset[str]:
        """Where the secrets of ``config`` may be sent, for a connector with ``address_fields``. What is kept in the
        vault is not sent anywhere else than where it was meant to go when it was typed."""
        return frozenset()

    def rate_of(self, config: Mapping[str, Any]) -> Rate | None:
        """How fast a connection may be asked: as its own setting says, or as the platform bears. None: no limit."""
        own = config.get("operations_per_minute")
        return Rate(per_s=own / 60, burst=max(1, own // 60)) if isinstance(own, int) and own > 0 else self.rate

    def secret_fields(self) -> frozenset[str]:
        """Names of the configuration's fields that go to the vault."""
        return frozenset(name for name, info in self.Config.model_fields.items() if info.annotation is SecretStr)
