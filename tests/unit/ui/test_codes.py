"""Every code that the engine, the services and the connectors can give has words in both languages.

A page shows a code that has none as a sentence about a failure of ours, so a run that only waits would look broken.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from app.core.home import PROJECT
from app.ui.i18n import LANGUAGES, catalogue

SOURCES = sorted(
    path
    for folder in ("app", "connectors")
    for path in (PROJECT / folder).rglob("*.py")
    if not {"simulator", "embedded", "cli"} & set(path.parts) and path.name not in ("testing.py", "simulation.py")
)
# What is passed on from elsewhere, where it is found as well: a code that an error, a problem or a reason has already.
PASSED_ON = re.compile(
    r"""code|\w+|.*\.code|.*\['code'\]|.*\.get\('code'.*|\*_said\(error\)|.*sqlstate.*|_HTTP_CODES\..*
    |str\(response\.get\('Error'.*  # Of the platform, kept among the details of an error.
    """,
    re.VERBOSE,
)
# What is put together while the program runs, and everything that it can be.
WAITS = ("approval", "form", "retry", "time", "until")
MADE = {
    "f\"approval_{approval['state']}\"": ("approval_denied", "approval_expired", "approval_void"),
    "f\"approval_{refused['state']}\"": ("approval_denied", "approval_expired"),
    "f'approval_{objection}'": tuple(f"approval_{why}" for why in ("closed", "own", "author", "role", "answered")),
    "f\"document_{found['type']}\"": ("document_missing", "document_extra_forbidden", "document_any_other"),
    "f\"request_{found['type']}\"": ("request_missing", "request_any_other"),
    "f'session_{reason}'": ("session_ended", "session_expired"),
    "_code(each)": ("missing_param", "param_invalid"),
    "f'inputs_too_{_TOO[beyond][0]}'": ("inputs_too_big", "inputs_too_deep", "inputs_too_large"),
    "f'output_too_{beyond}'": ("output_too_big", "output_too_deep", "output_too_number"),
    "what['kind']": WAITS,
    "(first.waiting_for or {}).get('kind', 'approval')": WAITS,
}
# Never shown by a page: words of the command line and of HTTP itself.
ELSEWHERE = {"method_not_allowed", "unsupported_media_type", "not_local"}


def takers(tree: ast.Module) -> dict[str, int]:
    """The module's own functions and classes that take a code, with the place where they take it."""
    makers = [
        (node.name, inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, ast.FunctionDef) and inner.name == "__init__"
    ]
    functions = [(node.name, node) for node in tree.body if isinstance(node, ast.FunctionDef)]
    found = {}
    for name, function in (*makers, *functions):
        names = [argument.arg for argument in function.args.args if argument.arg != "self"]
        if "code" in names:
            found[name] = names.index("code")
    return found


def given(tree: ast.Module) -> Iterator[ast.expr]:
    """Each expression that a module writes where a code belongs."""
    places = {"Problem": 0, **takers(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "code")
        elif isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
            place = places.get(ast.unparse(node.func).rpartition(".")[2], len(node.args))
            yield from node.args[place : place + 1]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "code" for target in targets):
                yield node.value


def codes(value: ast.expr) -> Iterator[str]:
    """The codes that an expression can be. Raises LookupError for one that only the running program knows."""
    if isinstance(value, ast.Constant):
        yield from [value.value] if isinstance(value.value, str) else []
    elif isinstance(value, ast.IfExp):
        yield from (*codes(value.body), *codes(value.orelse))
    elif isinstance(value, ast.BoolOp):
        for one in value.values:
            yield from codes(one)
    elif (words := ast.unparse(value)) in MADE:
        yield from MADE[words]
    elif not PASSED_ON.fullmatch(words):
        raise LookupError(words)


@cache
def found_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(code for value in given(tree) for code in codes(value)) - ELSEWHERE


def key_of(code: str) -> str | None:
    """The text that a page takes: of the reason, of the error, or of the family of errors (see app/ui/js/i18n.js)."""
    parts = code.split("_")
    families = [f"error.{'_'.join(parts[:count])}_other" for count in range(len(parts), 0, -1)]
    return next((key for key in (f"reason.{code}", f"error.{code}", *families) if key in catalogue()), None)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_code_has_words(path: Path) -> None:
    """A code that is put together in a new way belongs into MADE with all it can be, or into PASSED_ON."""
    silent = {code for code in found_in(path) if key_of(code) is None}
    assert not silent, f"no error.<code> or reason.<code> in app/ui/texts for {sorted(silent)}"


def test_the_codes_are_found() -> None:
    every = set().union(*(found_in(path) for path in SOURCES))
    assert {"approval", "batch", "all_rows_refused", "plan_of_batch", "timeout", "not_found", "throttled"} <= every
    assert len(every) > 150


def test_the_words_of_a_code_say_something_in_each_language() -> None:
    for code in set().union(*(found_in(path) for path in SOURCES)):
        sides = catalogue()[key_of(code) or ""]
        assert set(sides) == set(LANGUAGES), code
        assert all(sides.values()), code
