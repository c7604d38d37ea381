"""An approval policy is taken only where nothing in it could be misread."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Invalid
from app.services.client_policies import checked_policy

RULE = {"actions": ["aws.*"], "risk": "medium", "roles": ["approver"], "count": 2}


@pytest.mark.parametrize("policy", [{"rules": []}, {"rules": [RULE]}, {"rules": [{"roles": ["owner"]}]}])
def test_a_right_policy_is_taken_as_it_is(policy: dict[str, Any]) -> None:
    assert checked_policy(policy) == policy


@pytest.mark.parametrize(("policy", "field"), [
    ({}, "rules"),
    ({"rules": {}}, "rules"),
    ({"rules": [], "more": 1}, "rules"),
    ({"rules": ["x"]}, "rules.0"),
    ({"rules": [RULE, {**RULE, "roles": []}]}, "rules.1.roles"),
    ({"rules": [{**RULE, "roles": ["engineer"]}]}, "rules.0.roles"),
    ({"rules": [{**RULE, "roles": ["nobody"]}]}, "rules.0.roles"),
    ({"rules": [{**RULE, "actions": []}]}, "rules.0.actions"),
    ({"rules": [{**RULE, "actions": "aws.*"}]}, "rules.0.actions"),
    ({"rules": [{**RULE, "risk": "terrible"}]}, "rules.0.risk"),
    ({"rules": [{**RULE, "count": 0}]}, "rules.0.count"),
    ({"rules": [{**RULE, "count": True}]}, "rules.0.count"),
    ({"rules": [{**RULE, "rolls": []}]}, "rules.0.rolls"),
])  # fmt: skip
def test_a_wrong_one_says_where(policy: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as error:
        checked_policy(policy)
    assert field in {problem.field for problem in error.value.problems}
