"""Every error as problem+json (RFC 9457): which field, row or node, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from app.core import metrics
from app.core.errors import Invalid, Missing, NotSignedIn, OpsloomError, Problem, Unavailable
from app.core.logging import get_logger

log = get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}


class BadBody(OpsloomError):
    """The body is not what the route reads."""

    code = "body_not_json"


class TooLarge(OpsloomError):
    """The body is larger than the route takes; ``params['limit']`` is in bytes."""

    status = 413
    code = "too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.", params={"limit": limit})


class WrongOrigin(OpsloomError):
    """A page of another site sent this with the session's cookie."""

    status = 403
    code = "wrong_origin"


def problem_response(error: OpsloomError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """``error`` as an answer."""
    more = dict(headers or {})
    if isinstance(error, NotSignedIn):
        more.setdefault("WWW-Authenticate", 'Bearer realm="opsloom"')
    if "retry_after" in error.params:
        more.setdefault("Retry-After", str(max(1, int(error.params["retry_after"]))))
    if "draft" in error.params:  # what someone else saved is for the page that merges it, not for an error
        error.params.pop("draft")
    return JSONResponse(error.as_problem(), error.status, headers=more, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every kind of error so."""
    app.add_exception_handler(OpsloomError, _known)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(Exception, _unexpected)


async def _known(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OpsloomError)
    if isinstance(error, WrongOrigin):  # what a role does not allow is counted where it is asked
        metrics.authorization_failures.labels(error.code).inc()
    return problem_response(error)


async def _validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if broken := next((each for each in found if each["type"] == "json_invalid"), None):
        return problem_response(_not_json(broken))
    if any(each["loc"][:1] == ("path",) for each in found):
        return problem_response(Missing(str(found[0]["loc"][-1])))
    problems = [Problem(_code(each), _words(each), field=_field(each["loc"])) for each in found]
    return problem_response(Invalid("What was sent is wrong.", problems=problems))


def _not_json(each: Mapping[str, Any]) -> BadBody:
    """Where the body stops being JSON, and why."""
    position, why = each["loc"][-1], str(each.get("ctx", {}).get("error", ""))
    if not isinstance(position, int):
        return BadBody("The body is not JSON.", problems=[Problem("body_not_json", "It is not UTF-8.", field="body")])
    message = f"At character {position + 1}: {why}."
    problem = Problem("body_not_json", message, field="body", params={"position": position + 1})
    return BadBody("The body is not JSON.", problems=[problem])


def _words(each: Mapping[str, Any]) -> str:
    """The library's words, but for those that everybody meets."""
    name = _field(each["loc"])
    said = {
        "missing": f"{name} is missing.",
        "extra_forbidden": f"There is no field called {name}.",
        "model_attributes_type": f"{name} has to be a JSON object.",
    }
    return said.get(each["type"], str(each["msg"]))


def _code(each: Mapping[str, Any]) -> str:
    return "missing_param" if each["type"] == "missing" else "param_invalid"


def _field(place: tuple[Any, ...]) -> str:
    """A dotted path inside the body, or the name of a query parameter."""
    return ".".join(str(part) for part in place[1:]) or str(place[0])


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    messages = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    found = OpsloomError(messages.get(error.status_code, str(error.detail)), code=_HTTP_CODES.get(error.status_code))
    found.status = error.status_code
    return problem_response(found, error.headers)


async def _database(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DBAPIError)
    if error.connection_invalidated or error.is_disconnect:
        log.warning("database_away", reason=type(error.orig).__name__)
        return problem_response(Unavailable("The database does not answer.", params={"part": "postgres"}))
    return await _unexpected(request, error)


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    """What nobody foresaw is logged, and named by a reference that leads to the log line."""
    reference = uuid4().hex[:12]
    log.error("request_failed", reference=reference, exc_info=error)
    found = OpsloomError("Something went wrong here.", code="unexpected", params={"reference": reference})
    found.status = 500
    return problem_response(found)
