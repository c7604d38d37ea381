"""Cuts our own credential out of what a platform says: some repeat what they were sent, and it is shown then."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[secret]"
# A shorter one is in every text and cannot be told.
_LEAST = 4


class Veil:
    """Hides ``secret``, and texts that were ``made`` of it, in every spelling in which they could come back."""

    def __init__(self, secret: str, *made: str) -> None:
        whole = [*made] if secret else []
        if len(secret) >= _LEAST:
            whole += [secret, base64.b64encode(secret.encode("utf-8", "replace")).decode("ascii")]
        found = {spelling for text in whole for spelling in _spellings(text)}
        self._spellings: Sequence[str] = sorted(found, key=len, reverse=True)

    def text(self, text: str) -> str:
        """``text`` without the secret."""
        for spelling in self._spellings:
            text = text.replace(spelling, HIDDEN)
        return text

    def json(self, value: Any) -> Any:
        """The same of everything in a JSON value. What is written with escapes in its text is found only here."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(name): self.json(item) for name, item in value.items()}
        return [self.json(item) for item in value] if isinstance(value, list) else value


def _spellings(text: str) -> set[str]:
    """In a text, an address, a page, and JSON, where some write a slash with an escape."""
    quoted = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    escaped = {one.replace("/", "\\/") for one in quoted}
    return {text, quote(text, safe=""), quote_plus(text), html.escape(text), *quoted, *escaped}
