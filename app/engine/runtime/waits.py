"""Steps that wait for time to go by, or look again and again until something is so on a platform.

Only the beginning and what changes are events: when the next look is due is kept in memory and, while the run is given
back, in the queue. Whoever takes the run over looks at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.engine.core.events import StepSucceeded, StepWaiting
from app.engine.core.expressions import evaluate_bool
from app.engine.core.graph import GraphNode
from app.engine.core.plan import timed
from app.engine.core.retry import retry_after
from app.engine.core.values import to_json
from app.engine.runtime.perform import Performer
from app.engine.runtime.stage import bounded_output, error_json, reader_of, validated
from app.engine.steps.base import Poll, Sleep
from connectors.errors import NotFound, Retryable

Json = dict[str, Any]

# A wait that slows looks again after this share of the time it has waited, and at least once in so many seconds.
_SHARE = 0.25
_SELDOM_S = 900.0


@dataclass
class Look:
    """What one look found: its output and whether what is waited for is so, or why nothing could be read."""

    found: Any = None
    met: bool = False
    error: Json | None = None


@dataclass
class Waits:
    """The waits of one walk."""

    performer: Performer
    _next: dict[str, datetime] = field(default_factory=dict)

    def begin(self, node: GraphNode, answer: Sleep | Poll) -> None:
        """Let a step wait, from now on by the database's clock. A wait whose last look failed goes on: it began when it
        began, and its deadline stands."""
        now = self.performer.now()
        interrupted = self._what(node.id).get("wait")
        self._next.pop(node.id, None)
        if isinstance(answer, Sleep):
            at = answer.until or now + timedelta(seconds=answer.seconds or 0.0)
            what = {"kind": "time", "at": at.isoformat(), "output": to_json(answer.output), "port": answer.port}
        elif interrupted:
            what = {**interrupted, "at": now.isoformat()}
        else:
            what = {
                "kind": "until",
                "at": now.isoformat(),
                "since": now.isoformat(),
                "deadline": (now + timedelta(seconds=answer.deadline_s)).isoformat(),
                "action": answer.action,
                "expression": answer.expression,
                "every_s": answer.every_s,
            }
        self.performer.journal.note(StepWaiting(node.id, what))

    def times(self) -> dict[str, datetime]:
        """When each waiting step is to be looked after."""
        return {name: self._next.get(name, at) for name, at in timed(self.performer.journal.state).items()}

    def ripe(self) -> list[str]:
        """The waiting steps whose time has come."""
        now = self.performer.now()
        return [name for name, at in self.times().items() if at <= now]

    def sleeps(self, name: str) -> bool:
        """Whether the step waits for time alone."""
        return bool(self._what(name).get("kind") == "time")

    def wake(self, name: str) -> None:
        """A moment has come: the step goes on."""
        what = self._what(name)
        self.performer.journal.note(StepSucceeded(name, output=what.get("output"), port=what["port"]))

    async def look(self, node: GraphNode, poll: Poll) -> None:
        """Look once; what comes of it is an event, or the time of the next look. Raises what is our own trouble."""
        structlog.contextvars.bind_contextvars(step=node.id)
        await self.performer.guarded(node, self._look(node, poll))

    async def _look(self, node: GraphNode, poll: Poll) -> None:
        seen = await self._read(node, poll)
        state = self.performer.journal.state
        if state.finished or state.node(node.id).state != "waiting":
            return  # it was cancelled meanwhile
        what, now = self._what(node.id), self.performer.now()
        left = (datetime.fromisoformat(what["deadline"]) - now).total_seconds()
        if seen.met or left <= 0:
            output = {"timed_out": not seen.met, "found": seen.found}
            port = poll.port if seen.met else poll.timeout_port
            self.performer.journal.note(StepSucceeded(node.id, output=output, port=port))
            return
        pause = max(_pace(poll, what, now), retry_after(seen.error or {}))
        self._next[node.id] = now + timedelta(seconds=min(pause, left))
        if (what.get("error") or {}).get("code") != (seen.error or {}).get("code"):
            self.performer.journal.note(StepWaiting(node.id, {**what, "error": seen.error}))

    async def _read(self, node: GraphNode, poll: Poll) -> Look:
        """What a platform cannot say for the moment, and what is not there yet, is looked for again."""
        stage = self.performer.stage
        try:
            reader = reader_of(poll.action)
            params = validated(reader, poll.params)
            await stage.clients.enter(node.node.connection or "")
            client = await stage.clients.get(node.node.connection or "")
            read = await self.performer.calls.look(node, reader.read(client, params))
        except (NotFound, Retryable, TimeoutError) as error:
            return Look(error=error_json(error))
        found = bounded_output(read.model_dump(mode="json"))
        scope = replace(stage.scope(self.performer.journal.state, node.id), found=found)
        return Look(found=found, met=evaluate_bool(poll.expression, scope) is True)

    def _what(self, name: str) -> Json:
        return dict(self.performer.journal.state.node(name).waiting_for or {})


def _pace(poll: Poll, what: Json, now: datetime) -> float:
    if not poll.slows:
        return poll.every_s
    waited = (now - datetime.fromisoformat(what["since"])).total_seconds()
    return max(poll.every_s, min(waited * _SHARE, _SELDOM_S))
