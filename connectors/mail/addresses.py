"""Addresses and lines of a message, so that nothing that is typed becomes a header of its own."""

from __future__ import annotations

import unicodedata

from email_validator import EmailNotValidError, validate_email


def mailbox(text: str) -> str:
    """One address in the form in which servers take it. Raises ValueError; the domain may have letters of any kind."""
    try:
        found = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f"{text[:100]!r} is no address: {error}") from None
    return str(found.ascii_email)


def mailboxes(texts: list[str]) -> list[str]:
    """Addresses without repetition, in their order. Raises ValueError naming the first that is none."""
    return list(dict.fromkeys(mailbox(text) for text in texts))


def one_line(text: str) -> str:
    """``text`` where it is one line. Raises ValueError: a line break would begin another header."""
    if any(unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in text):
        raise ValueError("it holds a line break or another sign that is not printed")
    return text
