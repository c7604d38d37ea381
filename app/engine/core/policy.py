"""Who must agree before a run may write. The policy belongs to the client, whatever a workflow has drawn.

A policy is JSON: ``{"rules": [{"actions": ["aws.*"], "risk": "medium", "roles": ["approver"], "count": 1}]}``. A rule
speaks of a write when one of its ``actions`` patterns matches and the step's risk is at least ``risk``; both left out
means every write. A rule without roles can be satisfied by nobody: an empty list never means everybody.

``"silence_may_approve": true`` beside the rules allows a workflow's own approval step to take silence for a yes. What
the policy itself asks for is never approved by silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

RISK_ORDER = {"low": 0, "medium": 1, "high": 2}

# What a client has until it says otherwise: whatever could do lasting harm is agreed by a second person.
DEFAULT_POLICY: dict[str, Any] = {"rules": [{"risk": "high", "roles": ["approver"], "count": 1}]}


@dataclass(frozen=True)
class Write:
    """One write that a run is about to make: the node, the step type and its risk (``low``, ``medium``, ``high``)."""

    node: str
    action: str
    risk: str


@dataclass(frozen=True)
class Requirement:
    """``count`` different people holding one of ``roles`` must approve. ``nodes`` are the steps it is for.

    ``key`` names the requirement itself, so that an approval given for one rule is never taken for another's.
    """

    key: str
    roles: tuple[str, ...]
    count: int
    nodes: tuple[str, ...]


def _matches(rule: Mapping[str, Any], write: Write) -> bool:
    patterns = rule.get("actions") or ["*"]
    least = RISK_ORDER[rule.get("risk") or "low"]
    return RISK_ORDER[write.risk] >= least and any(fnmatchcase(write.action, pattern) for pattern in patterns)


def requirement_key(roles: Iterable[str], count: int) -> str:
    """A short name of "``count`` of ``roles``"."""
    text = f"{count}:{','.join(sorted(roles))}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def required(policy: Mapping[str, Any] | None, writes: Iterable[Write]) -> list[Requirement]:
    """The approvals that ``writes`` need. Rules with the same people and number are asked for once."""
    rules = (policy or DEFAULT_POLICY).get("rules", [])
    writes = list(writes)
    people: dict[str, tuple[tuple[str, ...], int]] = {}
    found: dict[str, list[str]] = {}
    for rule in rules:
        roles = tuple(sorted(rule.get("roles") or ()))
        count = max(1, int(rule.get("count") or 1))
        nodes = [write.node for write in writes if _matches(rule, write)]
        if nodes:
            key = requirement_key(roles, count)
            people[key] = (roles, count)
            found.setdefault(key, []).extend(nodes)
    return [
        Requirement(key=key, roles=people[key][0], count=people[key][1], nodes=tuple(dict.fromkeys(nodes)))
        for key, nodes in found.items()
    ]


def missing(requirements: Iterable[Requirement], approved_keys: Iterable[str]) -> list[Requirement]:
    """The requirements that no approval with the run's present seal satisfies yet."""
    satisfied = set(approved_keys)
    return [requirement for requirement in requirements if requirement.key not in satisfied]
