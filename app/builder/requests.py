"""What the browser may ask of the builder. Each request is checked before it is looked at: handlers are public."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from app.core.errors import Invalid, Problem

Json = dict[str, Any]
Short = Annotated[str, StringConstraints(max_length=200)]


class Request(BaseModel):
    """Every request says which messages have arrived: ``seen`` is the last one's number, of the series ``epoch``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    seen: int = 0
    epoch: str | None = None


class Op(BaseModel):
    """One operation; its pairs are checked where they are applied."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Push(Request):
    """Operations in their order, and the revision that they were made on."""

    ops: list[Op] = Field(max_length=5_000)
    base: int


class Choices(Request):
    """What a field of a step type offers in the tenant."""

    request: Short
    connection: Short
    type: Short
    field: Short


class SaveVersion(Request):
    revision: int
    note: Annotated[str, StringConstraints(max_length=1000)] = ""


class Publish(Request):
    """``version`` None: save the draft as a version first."""

    version: int | None = None
    revision: int


class OneVersion(Request):
    version: int


class Start(Request):
    """A plan or a run: of the drawing, of one of its steps, or of a plan that was made before."""

    mode: Literal["plan", "apply"]
    inputs: Json = {}
    plan: UUID | None = None
    node: Short | None = None
    revision: int
    key: Annotated[str, StringConstraints(min_length=8, max_length=64)]


class Watch(Request):
    """The run to follow; none: stop following."""

    run: UUID | None = None


class Cancel(Request):
    run: UUID


R = TypeVar("R", bound=Request)


def read(kind: type[R], payload: Any) -> R:
    """``payload`` as ``kind``. Raises Invalid naming each field that is wrong."""
    try:
        return kind.model_validate(payload)
    except ValidationError as error:
        problems = [
            Problem(f"request_{found['type']}", found["msg"], field=".".join(map(str, found["loc"])))
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise Invalid("This request is not understood.", problems=problems) from None
