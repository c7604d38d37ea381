"""Inputs that would take long to check, or too much room, are refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Invalid
from app.services.inputs import check, check_rows, checked


def schema(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


def test_a_hostile_pattern_takes_no_time() -> None:
    """Python's own engine would be at it for years."""
    hostile = schema(code={"type": "string", "pattern": "^(a+)+$"})
    (problem,) = check(hostile, {"code": "a" * 60 + "!"})
    assert (problem.code, problem.field) == ("invalid_value", "code")
    assert check(hostile, {"code": "a" * 60}) == []


def test_a_million_items_are_refused_before_anything_looks_at_them() -> None:
    with pytest.raises(Invalid) as refused:
        checked(schema(items={"type": "array"}), {"items": list(range(1_000_000))})
    assert [problem.code for problem in refused.value.problems] == ["inputs_too_big"]


def test_ten_megabytes_in_a_row_of_a_table_are_that_rowʼs_fault() -> None:
    first, second = check_rows(schema(text={"type": "string"}), [{"text": "x"}, {"text": "x" * 10_000_000}])
    assert first.problems == ()
    assert [(problem.code, problem.row) for problem in second.problems] == [("inputs_too_big", 2)]


def test_a_schema_without_an_end_is_said_to_be_one() -> None:
    endless = {**schema(m={"$ref": "#/$defs/s"}), "$defs": {"s": {"$ref": "#/$defs/s"}}}
    assert [problem.code for problem in check(endless, {"m": 1})] == ["schema_endless"]
