"""What the audit trail and the counters are told of a step's writes, in the transaction that records them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.core import metrics
from app.data.repositories import audit
from app.engine.core.graph import GraphNode
from app.engine.runtime import audit_names, vaulting
from app.engine.runtime.journal import Journal
from app.engine.runtime.stage import Stage
from app.engine.runtime.store import Audit, Told
from connectors.base import Applied

Json = dict[str, Any]


@dataclass
class Telling:
    """Tells of the steps of one walk."""

    stage: Stage
    journal: Journal
    vault: vaulting.SecretStore

    def success(self, node: GraphNode, applied: Applied) -> Audit:
        """Work beside a write that was made."""
        action = node.node.type
        name = (audit_names.undone if self.stage.is_undo else audit_names.applied)(action)
        self._count(node, "")
        details = {"change": applied.change.model_dump(mode="json", include={"kind", "before", "after"})}
        return self._auditing(node, name, applied.change.target, "success", {**details, "adopted": applied.adopted})

    def failure(self, node: GraphNode, error: Json) -> Audit | None:
        """Work beside a write that failed for good; None for what only looks."""
        if self.stage.kind(node) != "write":
            return None
        self._count(node, "_failed")
        name = audit_names.failed(node.node.type)
        told = {key: error.get(key) for key in ("code", "message", "remedy")}
        change = self.journal.state.node(node.id).change or {}
        return self._auditing(node, name, str(change.get("target", "")), "failure", {"error": told})

    def _auditing(self, node: GraphNode, action: str, target: str, outcome: str, details: Json) -> Audit:
        record = self.stage.record
        found = {"run": str(record.run_id), "step": node.id, "type": node.node.type, **details}

        told = audit.entry(record.on_behalf, action=action, target=target, outcome=outcome, details=found)
        if outcome != "success" or not self.stage.is_undo:
            return Told(told)

        async def undone(session: Any) -> None:
            audit.add(session, told)
            await vaulting.withdraw(session, self.vault, record, node.id)

        return undone

    def withdrawing(self, node: GraphNode) -> Audit:
        """Work beside an undo's step that found nothing left to take back."""
        return lambda session: vaulting.withdraw(session, self.vault, self.stage.record, node.id)

    def _count(self, node: GraphNode, suffix: str) -> None:
        platform, resource, verb = (*node.node.type.split(".", 2), "")[:3]
        if resource == "user":
            operation = f"undo_{verb}" if self.stage.is_undo else verb
            slug = self.stage.record.client["slug"]
            metrics.user_operations.labels(operation + suffix, platform, slug).inc()
