"""The form of a client's approval policy: which writes need whose agreement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.errors import Invalid, Problem
from app.services.permissions import permissions_of

_RISKS = ("low", "medium", "high")


def checked_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    """A policy with nothing unknown in it. Raises Invalid naming each wrong field."""
    problems: list[Problem] = []
    rules = policy.get("rules")
    if not isinstance(rules, list) or set(policy) - {"silence_may_approve"} != {"rules"}:
        problems.append(Problem("policy_rules", "A policy is an object with a list of rules.", field="rules"))
        rules = []
    if not isinstance(policy.get("silence_may_approve", False), bool):
        message = "Say true or false: whether a workflow may take silence for a yes."
        problems.append(Problem("policy_silence", message, field="silence_may_approve"))
    for number, rule in enumerate(rules):
        problems += _rule_problems(rule, f"rules.{number}")
    if problems:
        raise Invalid("The approval policy is wrong.", code="policy_invalid", problems=problems)
    return dict(policy)


def _rule_problems(rule: Any, at: str) -> list[Problem]:
    if not isinstance(rule, dict):
        return [Problem("policy_rule", "A rule is an object.", field=at)]
    wrong = [
        Problem("policy_unknown", f"A rule has no {name}.", field=f"{at}.{name}", params={"name": name})
        for name in sorted(set(rule) - {"actions", "risk", "roles", "count"})
    ]
    actions, roles, count = rule.get("actions", ["*"]), rule.get("roles"), rule.get("count", 1)
    if not isinstance(actions, list) or not actions or not all(isinstance(item, str) and item for item in actions):
        wrong.append(Problem("policy_actions", "Actions are a list of patterns such as aws.*.", field=f"{at}.actions"))
    if rule.get("risk", "low") not in _RISKS:
        wrong.append(Problem("policy_risk", f"Risk is one of {', '.join(_RISKS)}.", field=f"{at}.risk"))
    if not isinstance(roles, list) or not roles or not all(_may_approve(role) for role in roles):
        wrong.append(Problem("policy_roles", "Name at least one role that may approve.", field=f"{at}.roles"))
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 10:
        wrong.append(Problem("policy_count", "Count is a number from 1 to 10.", field=f"{at}.count"))
    return wrong


def _may_approve(role: Any) -> bool:
    return isinstance(role, str) and "approval.decide" in permissions_of(role)
