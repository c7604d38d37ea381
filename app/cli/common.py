"""What the commands share: settings, output, and running async verbs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from app.core.errors import Invalid, OpsloomError, Problem, Unavailable
from app.core.settings import Role, Settings, get_settings

T = TypeVar("T")

FAILED = 1
WAITING = 3  # for a person

Mode = Annotated[Literal["plan", "apply"], typer.Option(help="plan: only look. apply: do it.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, and nothing else.")]


def settings() -> Settings:
    """The settings. Raises Invalid naming the wrong OPSLOOM_ variable."""
    try:
        return get_settings()
    except ValidationError as error:
        wrong = [
            Problem("invalid", str(each["msg"]), field=f"OPSLOOM_{'_'.join(map(str, each['loc'])).upper()}")
            for each in error.errors()
        ]
        raise Invalid("A setting is wrong.", problems=wrong) from None


def local_settings() -> Settings:
    """As :func:`settings`, for what only the owner of an embedded stack may do. Raises OpsloomError elsewhere."""
    from app.embedded.stack import is_local

    found = settings()
    if not is_local(found):
        raise OpsloomError("This works beside an embedded stack only: run `make up` here first.", code="not_local")
    return found


def database_url(role: Role) -> str:
    """The database's address for ``role``. Raises Unavailable where none is set up."""
    try:
        return settings().database_url(role)
    except ValueError as error:
        raise Unavailable(f"Nothing is set up here ({error}): run `make up` first.", code="not_set_up") from None


def emit(value: Any, *, as_json: bool, human: Callable[[Any], str]) -> None:
    """Print a result: JSON, or what ``human`` makes of it."""
    print(json.dumps(value, default=_plain, ensure_ascii=False) if as_json else human(value))


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def run(verb: Coroutine[Any, Any, T], role: Role = "web") -> T:
    """Run an async verb to its end, with the database as ``role`` sees it, and close what it opened.

    Raises Unavailable where no database is set up.
    """
    try:
        database_url(role)
    except OpsloomError:
        verb.close()
        raise

    async def finish() -> T:
        from app.data import routing

        routing.configure(role, settings())
        try:
            return await verb
        finally:
            await routing.dispose()

    return asyncio.run(finish())
