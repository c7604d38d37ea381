"""Sign-in and sign-out of our own pages: forms, since only an answer over HTTP can set the session's cookie."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from app.api.who import address_of, require_own_page, unsigned_limit
from app.core.errors import NotSignedIn, OpsloomError, TooMany, Unavailable
from app.services import auth

router = APIRouter(prefix="/auth", tags=["sign-in"], dependencies=[Depends(unsigned_limit)])
SIGN_IN_PAGE = "/sign-in"
_CODES = {"code_missing": "otp_required", "code_wrong": "otp_wrong", "code_used": "otp_used"}


@router.post("/sign-in", include_in_schema=False)
async def sign_in(
    request: Request,
    email: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    otp: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Begin a session and go to ``next``; or go back to the page with the reason."""
    require_own_page(request)
    try:
        signed = await auth.sign_in(
            email=email,
            password=password,
            otp=otp,
            ip=address_of(request),
            user_agent=request.headers.get("user-agent"),
            replacing=request.cookies.get(auth.SESSION_COOKIE),
        )
    except OpsloomError as error:
        return _back(error, next)
    answer = RedirectResponse(local_path(next), 303)
    set_cookie(answer, signed.token)
    return answer


def _back(error: OpsloomError, wanted: str) -> Response:
    """The page again. The address says the kind of error only, never what was typed."""
    found = {"error": _reason(error), "next": local_path(wanted)}
    if "retry_after" in error.params:
        found["retry_after"] = str(error.params["retry_after"])
    return RedirectResponse(f"{SIGN_IN_PAGE}?{urlencode(found)}", 303)


def _reason(error: OpsloomError) -> str:
    if isinstance(error, TooMany):
        return "too_many"
    if isinstance(error, Unavailable):
        return "unavailable"
    if isinstance(error, NotSignedIn):
        return _CODES.get(error.code, "bad_credentials")
    return "unexpected"


def local_path(wanted: str) -> str:
    """``wanted`` where it is a path of this application, otherwise the home page: a link must not lead elsewhere."""
    parts = urlsplit(wanted)
    plain = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    return wanted if plain and not parts.scheme and not parts.netloc else "/"


def set_cookie(answer: Response, token: str) -> None:
    """The session's cookie. ``__Host-`` binds it to this host; it ends with the browser, and in the database."""
    answer.set_cookie(auth.SESSION_COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(answer: Response) -> None:
    """Take the cookie away."""
    answer.delete_cookie(auth.SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


@router.post("/sign-out", include_in_schema=False)
async def sign_out(request: Request) -> Response:
    """End the session, here and in the database."""
    require_own_page(request)
    if token := request.cookies.get(auth.SESSION_COOKIE):
        await auth.sign_out(token, address_of(request))
    answer = RedirectResponse(f"{SIGN_IN_PAGE}?out=1", 303)
    drop_cookie(answer)
    # What this browser kept of the session's pages goes too; the cookie alone would leave drafts and caches behind.
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer
