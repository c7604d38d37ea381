"""What every expression may call: CEL's own functions, the string extension, and a few that CEL lacks."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped, unused-ignore]
from cel_expr_python.ext import ext_strings  # type: ignore[import-untyped, unused-ignore]


def new_environment(variables: Mapping[str, Any], pool: Any = None) -> Any:
    """A CEL environment. ``variables`` by name with their ``cel.Type``; ``pool`` holds the message types they name."""
    return cel.NewEnv(pool, variables=dict(variables), extensions=list(_extensions()))


def ascii_text(text: str) -> str:
    """``text`` with accents taken off and ligatures written out; what has no ASCII form is left out."""
    for letters, plain in _LIGATURES.items():
        text = text.replace(letters, plain)
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


_LIGATURES = {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d"}


def _left(text: str, count: int) -> str:
    return text[: max(count, 0)]


@cache
def _extensions() -> tuple[Any, ...]:
    text = cel.Type.STRING
    own = [
        _method("ascii", ascii_text, text),
        _method("lower", str.lower, text),
        _method("upper", str.upper, text),
        _method("left", _left, text, cel.Type.INT),
    ]
    return ext_strings.ExtStrings(), cel.CelExtension("opsloom", own)


def _method(name: str, does: Callable[..., Any], *parameters: Any) -> Any:
    overload = cel.Overload(
        f"opsloom_{name}",
        return_type=cel.Type.STRING,
        parameters=list(parameters),
        is_member=True,
        impl=does,
    )
    return cel.FunctionDecl(name, [overload])
