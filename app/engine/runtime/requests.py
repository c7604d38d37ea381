"""What people ask of single steps of a run while it is under way: to try them again, or what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from app.engine.core.events import StepFailed, StepReset, StepSucceeded
from app.engine.core.state import IllegalEvent
from app.engine.runtime.journal import Journal
from app.engine.runtime.record import Record

Json = dict[str, Any]
log = structlog.get_logger(__name__)


@dataclass
class Requests:
    """The requests of one run, each of which is handled once."""

    journal: Journal
    _handled: int = 0

    async def heed(self, record: Record) -> None:
        """Handle what was asked since, and keep how far that went with what came of it."""
        asked = record.run["extra"].get("requests", [])
        handled = max(self._handled, record.run["extra"].get("handled", 0))
        if len(asked) <= handled:
            return
        for request in asked[handled:]:
            self._heed(request)
        self._handled = len(asked)
        await self.journal.flush({"extra": {"handled": self._handled}})

    def _heed(self, request: Json) -> None:
        try:
            if request["kind"] == "reset":
                self.journal.note(StepReset(tuple(request.get("nodes", ()))))
                self.journal.replan()
            elif request["kind"] == "settle":
                self._settle(request)
        except (IllegalEvent, KeyError) as error:
            # It no longer fits what the run has come to. A request that cannot be met must not stop the run for ever.
            log.warning("run.request_refused", kind=request.get("kind"), error=type(error).__name__)

    def _settle(self, request: Json) -> None:
        """A person says what became of a step whose outcome nobody knew, and perhaps what it gave."""
        node = self.journal.state.graph.nodes[request["node"]]
        state = self.journal.state.node(node.id)
        if state.state != "unknown":
            return
        if request["outcome"] == "done":
            port = node.info.ports[0]
            output = request.get("output", state.output or {})
            self.journal.note(StepSucceeded(node.id, output=output, change=state.change, port=port))
        else:
            error = {"code": "not_done", "remedy": "Rejected", "message": "A person says that it was not done."}
            self.journal.note(StepFailed(node.id, error))
