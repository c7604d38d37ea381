"""Why a write may not be made now: it is not what was sealed, or the client's policy has not been satisfied."""

from __future__ import annotations

from typing import Any

from app.engine.core.graph import GraphNode
from app.engine.core.planned import PlannedStep
from app.engine.core.policy import Requirement, Write
from app.engine.core.seal import change_differences, unknown_differences
from app.engine.runtime.gate import CONFIRM, CONFIRMERS, Gate, Question
from app.engine.runtime.record import StoredPlan
from connectors.base import Change

Json = dict[str, Any]
Objection = tuple[Question, list[Json]]


def objection(
    gate: Gate, sealed: StoredPlan | None, node: GraphNode, planned: Change, rendered: Json
) -> Objection | None:
    """The question that has to be answered before the write is made, and how the write departs from the sealed one.

    What people agreed to before counts for the sealed change only. A write that has moved needs everybody whom the
    policy asks once more, about this very change; where it asks nobody, somebody confirms. ``rendered`` are the step's
    parameters as they are now: of what only the run could tell, the rest was sealed by them.
    """
    change = planned.model_dump(mode="json")
    write = Write(node.id, node.node.type, node.info.risk)
    agreed = gate.agreed(node.id, change)
    moved = _moved(sealed.plan.step_of(node.id), node, change, rendered) if sealed else []
    if moved:
        unmet = gate.unmet([write], agreed) or _to_confirm(gate, write, agreed)
    else:
        unmet = gate.unmet([write], agreed | gate.approved(sealed.seal if sealed else ""))
    if not unmet:
        return None
    own = unmet[0].key == CONFIRM
    title, reason = node.node.name or node.id, "moved" if moved else "policy"
    return Question(unmet[0], reason, title, node=node.id, own=own, change=change), moved


def _to_confirm(gate: Gate, write: Write, agreed: set[str]) -> list[Requirement]:
    """Somebody's word that a moved write goes on, where the policy asks for nobody's."""
    needed = not agreed and not gate.unmet([write], set())
    return [Requirement(CONFIRM, CONFIRMERS, 1, (write.node,))] if needed else []


def _moved(planned: PlannedStep | None, node: GraphNode, now: Json, rendered: Json) -> list[Json]:
    """How a write departs from the sealed one; empty where it may be made."""
    if planned is None or planned.change is None:
        return [{"field": "change", "sealed": None, "now": now}]
    found = []
    if planned.version != node.info.version:
        found.append({"field": "step_version", "sealed": planned.version, "now": node.info.version})
    if planned.change["kind"] == "unknown":
        return [*found, *unknown_differences(planned.change, rendered)]
    return [*found, *change_differences(planned.change, now)]
