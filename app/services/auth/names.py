"""How an address or password is compared: names that only look different are the same name."""

from __future__ import annotations

import re
import unicodedata

from app.core.errors import Invalid, Problem

_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_LONGEST_ADDRESS = 254
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 256


def email_key(email: str) -> str:
    """The address as it is compared: compatible forms unified, case folded, spaces around it dropped."""
    folded = unicodedata.normalize("NFKC", email.strip()).casefold()
    return unicodedata.normalize("NFKC", folded)


def checked_email(email: str) -> str:
    """``email`` without spaces around it. Raises Invalid where it is not an address."""
    found = unicodedata.normalize("NFC", email.strip())
    printable = found.isprintable()
    if not printable or len(found) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(found):
        message = "This is not an e-mail address."
        raise Invalid(message, code="email_invalid", problems=[Problem("email_invalid", message, field="email")])
    return found


def password_form(password: str) -> str:
    """A password as it is hashed, so that it is the same from every keyboard."""
    return unicodedata.normalize("NFC", password)


def checked_password(password: str, *, email: str) -> str:
    """The form of an acceptable new password. Raises Invalid."""
    found = password_form(password)
    if not SHORTEST_PASSWORD <= len(found) <= LONGEST_PASSWORD:
        _refuse("password_length", f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    if len(set(found)) < 5 or email_key(found) in (email_key(email), email_key(email).partition("@")[0]):
        _refuse("password_weak", "This password is too easy to guess.")
    return found


def _refuse(code: str, message: str) -> None:
    params = {"min": SHORTEST_PASSWORD, "max": LONGEST_PASSWORD}
    raise Invalid(message, code=code, problems=[Problem(code, message, field="password", params=params)])
