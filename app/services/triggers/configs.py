"""What each kind of trigger is told, checked when it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.core.errors import Invalid, Problem
from app.engine.core.document import excess
from app.engine.core.schedule import MOST_CAUGHT_UP, CatchUp, Pace
from app.engine.core.schema_check import schema_problem
from app.services.triggers.mapping import excessive

Json = dict[str, Any]
Kind = Literal["schedule", "webhook", "event"]
Overlap = Literal["skip", "allow"]
EventName = Literal[
    "run_ended", "approval_decided", "people_asked", "people_reminded", "drift_found", "drift_cleared", "change_seen"
]
MAX_CONFIG_BYTES = 64_000


class _Config(BaseModel):
    """What every kind has: of the client's runs, those of a higher ``priority`` are taken first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    priority: Literal["low", "normal", "high"] = "normal"


class ScheduleConfig(_Config):
    """When. ``catch_up`` says what becomes of times that were missed: nothing, one start for all, or one for each of
    the latest ``catch_up_limit``. ``jitter_s`` spreads starts. ``overlap``: whether to start while the last runs."""

    cron: str
    zone: str = "UTC"
    jitter_s: int = 0
    catch_up: CatchUp = "one"
    catch_up_limit: int = Field(default=10, ge=1, le=MOST_CAUGHT_UP)
    overlap: Overlap = "skip"

    def pace(self, seed: UUID) -> Pace:
        return Pace(str(seed), self.jitter_s, self.catch_up, self.catch_up_limit)


class WebhookConfig(_Config):
    """How a sender proves itself, and where the inputs come from: ``mapping`` (the trigger's inputs, with expressions
    over ``payload``) or ``payload`` (the object ``inputs`` of the body). ``payload_schema`` is checked first."""

    auth: Literal["signature", "secret"] = "signature"
    take: Literal["mapping", "payload"] = "mapping"
    payload_schema: Json | None = None
    overlap: Overlap = "allow"


class EventConfig(_Config):
    """What to wait for, and which of it: an empty filter lets everything through."""

    on: EventName
    workflow: UUID | None = None
    outcomes: tuple[Literal["succeeded", "failed", "cancelled"], ...] = ()
    modes: tuple[Literal["plan", "apply"], ...] = ("apply",)
    decisions: tuple[Literal["approved", "denied", "expired"], ...] = ()
    trigger: UUID | None = None
    overlap: Overlap = "allow"


AnyConfig = ScheduleConfig | WebhookConfig | EventConfig
_KINDS: dict[str, type[ScheduleConfig | WebhookConfig | EventConfig]] = {
    "schedule": ScheduleConfig,
    "webhook": WebhookConfig,
    "event": EventConfig,
}


def parse_config(kind: str, given: Mapping[str, Any]) -> AnyConfig:
    """The configuration of a trigger of this kind. Raises Invalid naming each field that is wrong."""
    if kind not in _KINDS:
        message = "A trigger is a schedule, a webhook or an event."
        raise Invalid(message, problems=[Problem("not_one_of", message, field="kind")])
    if found := excess(dict(given), MAX_CONFIG_BYTES):
        raise excessive(found, "config", MAX_CONFIG_BYTES)
    try:
        parsed = _KINDS[kind].model_validate(dict(given))
    except ValidationError as error:
        raise Invalid("What was sent is wrong.", problems=[_problem(each) for each in error.errors()]) from None
    if isinstance(parsed, WebhookConfig) and parsed.payload_schema is not None:
        _check_schema(parsed.payload_schema)
    return parsed


def stored_config(row_config: Mapping[str, Any], kind: str) -> AnyConfig:
    """The configuration as it was stored."""
    return _KINDS[kind].model_validate({name: value for name, value in row_config.items() if name != "token"})


def _problem(each: Mapping[str, Any]) -> Problem:
    place = ".".join(["config", *(str(part) for part in each["loc"])])
    code = "missing_param" if each["type"] == "missing" else "param_invalid"
    return Problem(code, str(each["msg"]), field=place)


def _check_schema(schema: Json) -> None:
    wrong = schema_problem(schema)
    if wrong:
        message = f"This is not a valid JSON schema: {wrong[0]}."
        field = ".".join(part for part in ("config.payload_schema", wrong[1]) if part)
        raise Invalid(message, problems=[Problem("bad_schema", message, field=field)])
