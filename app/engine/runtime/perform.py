"""Performing one step: look, compare with the seal, record the intent, act, record what became of it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import structlog
from pydantic import SecretStr

from app.core.clock import utcnow
from app.core.ids import new_id
from app.engine.core.events import StepCancelled, StepFailed, StepIntended, StepSucceeded, StepUnknown, StepWaiting
from app.engine.core.expressions import ExpressionError
from app.engine.core.graph import GraphNode
from app.engine.core.moves import in_broken
from app.engine.core.outputs import fitting
from app.engine.core.retry import next_delay
from app.engine.core.values import to_json
from app.engine.runtime import vaulting
from app.engine.runtime.bindings import Binding, Prospect
from app.engine.runtime.calls import Calls, Interrupted
from app.engine.runtime.clock import DatabaseClock
from app.engine.runtime.gate import Gate, Question, asking, step_question
from app.engine.runtime.journal import Journal
from app.engine.runtime.objecting import objection
from app.engine.runtime.pace import HeldBack
from app.engine.runtime.record import StoredPlan
from app.engine.runtime.recovery import NothingDone, find_out, patiently, unknown
from app.engine.runtime.stage import Stage, bounded_output, error_json, validated
from app.engine.runtime.telling import Telling
from app.engine.runtime.trouble import OURS
from app.engine.steps.base import Ask
from connectors.base import Applied, Attempt, Change, World
from connectors.errors import ConnectorError, OutcomeUnknown

Json = dict[str, Any]
log = structlog.get_logger(__name__)


@dataclass
class Performer:
    """Performs the steps of one walk. ``sealed`` is the plan agreed to, ``clock`` the database's as it was read last.

    ``asked`` says that people were asked something since the run was last loaded.
    """

    stage: Stage
    journal: Journal
    gate: Gate
    vault: vaulting.SecretStore
    sealed: StoredPlan | None
    clock: DatabaseClock
    asked: bool = False

    @cached_property
    def calls(self) -> Calls:
        """What the steps ask of their platforms."""
        return Calls(self.stage.clients, self.journal)

    @cached_property
    def telling(self) -> Telling:
        """What the audit trail and the counters are told of the steps."""
        return Telling(self.stage, self.journal, self.vault)

    async def start(self, node: GraphNode) -> None:
        """One try at ``node``; what becomes of it is an event. Raises what is our own trouble and not the step's."""
        structlog.contextvars.bind_contextvars(step=node.id)
        await self.guarded(node, self._read(node) if self.stage.kind(node) == "read" else self._write(node))
        state = self.journal.state.node(node.id)
        found = {"type": node.node.type, "state": state.state, "attempt": state.attempt}
        log.info("step.tried", **found, code=(state.error or {}).get("code"))

    async def guarded(self, node: GraphNode, work: Awaitable[None]) -> None:
        """Do ``work``; where it fails, that is what becomes of the step. Raises what is our own trouble."""
        try:
            await work
        except OURS:
            raise
        except Interrupted:
            self._is_over(node)
        except Exception as error:
            if not isinstance(error, ConnectorError | TimeoutError | ExpressionError):
                log.exception("step.failed")
            self.fail(node, error)

    def fail(self, node: GraphNode, error: BaseException, *, final: bool = False) -> None:
        """Record a failure, with the time of the next try where waiting is its remedy (never where it is ``final``)."""
        found = error_json(error)
        if self.journal.state.finished or self.journal.state.node(node.id).terminal:
            return
        if isinstance(error, OutcomeUnknown):
            self.journal.note(StepUnknown(node.id, found), self.telling.failure(node, found))
            return
        state = self.journal.state.node(node.id)
        if isinstance(error, HeldBack):
            # Nothing was sent, so it is no try, and what happened before is still why it waits.
            retry_at = (self.now() + timedelta(seconds=error.retry_after)).isoformat()
            self.journal.note(StepFailed(node.id, state.error or found, retry_at=retry_at, attempt=state.attempt))
            return
        # A try that failed before it had an intent is one too: where nobody counted it, it would be repeated for ever.
        attempt = state.attempt if state.state == "running" else state.attempt + 1
        delay = None if final else next_delay(node.node.retry, attempt - state.earlier, found)
        retry_at = (self.now() + timedelta(seconds=delay)).isoformat() if delay is not None else None
        told = None if retry_at else self.telling.failure(node, found)
        self.journal.note(StepFailed(node.id, found, retry_at=retry_at, attempt=attempt), told)

    def now(self) -> datetime:
        """The time by the database's clock."""
        return self.clock.now()

    def _attempt(self, node: GraphNode) -> int:
        return self.journal.state.node(node.id).attempt + 1

    async def _read(self, node: GraphNode) -> None:
        if self._is_over(node):
            return
        rendered = self.stage.rendered(node, self.stage.scope(self.journal.state, node.id))
        reader = self.stage.reader(node)
        params = validated(reader, rendered)
        await self.stage.clients.enter(node.node.connection or "")
        if self._is_over(node):
            return
        self.journal.note(StepIntended(node.id, attempt=self._attempt(node), params=to_json(rendered)))
        await self.journal.flush_behind()
        client = await self.stage.clients.get(node.node.connection or "")
        found = await self.calls.look(node, reader.read(client, params))
        output = bounded_output(found.model_dump(mode="json"))
        self.journal.note(StepSucceeded(node.id, output=output, port=node.info.ports[0]))

    async def _write(self, node: GraphNode, begun: Change | None = None) -> None:
        """Plan, compare, act. ``begun`` is the change of a lost attempt that did nothing, or not all: it is finished as
        it was agreed, with the before-image of then."""
        if self.journal.pending:
            await self.journal.flush()
        if self._is_over(node):
            return
        rendered: Json = {}
        if not self.stage.is_undo:
            rendered = self.stage.rendered(node, self.stage.scope(self.journal.state, node.id))
        binding = await self.stage.binding(node, rendered)
        # What was found not to be done is finished at once: while it waited, it would be forgotten what was agreed.
        waits = begun is None
        begun = begun or self._left_undone(node)
        prospect = Prospect(begun, {}) if begun else await self._prospect(node, binding)
        if prospect.change.writes and waits:
            await self.stage.clients.enter(node.node.connection or "")
        if self._is_over(node):
            return
        if not prospect.change.writes:
            change = prospect.change.model_dump(mode="json")
            event = StepSucceeded(node.id, output=prospect.output, change=change, port=node.info.ports[0])
            self.journal.note(event, self.telling.withdrawing(node) if self.stage.is_undo else None)
            return
        question = objection(self.gate, self.sealed, node, prospect.change, rendered)
        if question:
            await self._ask(node, question)
            return
        await self._act(node, binding, prospect.change, rendered)

    async def _prospect(self, node: GraphNode, binding: Binding) -> Prospect:
        await self.stage.clients.enter(node.node.connection or "")
        return await self.calls.look(node, binding.plan(World()))

    def _left_undone(self, node: GraphNode) -> Change | None:
        """The change of the try before, where its answer was lost and it was found not to be done."""
        was = self.journal.state.node(node.id)
        lost = was.retry_at is not None and (was.error or {}).get("code") == NothingDone.code
        return Change.model_validate(was.change) if lost and was.change else None

    def _is_over(self, node: GraphNode) -> bool:
        """Whether the run, or the part of it that the step is in, was stopped (cancelled, another step failed) before
        this step sent anything: it sends nothing then."""
        state = self.journal.state
        if state.node(node.id).terminal:
            return True
        stopped = state.stopping or in_broken(state, node.index)
        if stopped and not state.finished:
            self.journal.note(StepCancelled(node.id))
        return stopped

    async def _ask(self, node: GraphNode, objection: tuple[Question, list[Json]]) -> None:
        question, moved = objection
        seal = self.sealed.seal if self.sealed else None
        what = {"kind": "approval", "reason": question.reason, "differences": moved}
        await self._wait_for(node, what, question, seal)

    async def ask(self, node: GraphNode, ask: Ask) -> None:
        """Let an approval step wait for its people."""
        seal = self.sealed.seal if self.sealed else None
        what = {"kind": "approval", "reason": "step", "ports": _ports(ask)}
        await self._wait_for(node, what, step_question(node.id, ask), seal)

    async def _wait_for(self, node: GraphNode, what: Json, question: Question, seal: str | None) -> None:
        # Noted together: a commit of another branch may take the event first, and the question must go with it.
        what = {**what, "approval": str(question.id)}
        self.journal.note(StepWaiting(node.id, what), asking(self.stage.record, [question], seal, self.now()))
        await self.journal.flush()
        self.asked = True

    async def _act(self, node: GraphNode, binding: Binding, change: Change, rendered: Json) -> None:
        made = await vaulting.prepare(self.vault, self.stage.record, node.id, binding.secrets)
        if self._is_over(node):
            return
        attempt = self._new_attempt(node, made)
        planned = change.model_dump(mode="json")
        self.journal.note(
            StepIntended(
                node.id,
                attempt=attempt.number,
                key=attempt.key,
                change=planned,
                deadline=(self.now() + timedelta(seconds=node.timeout_s)).isoformat(),
                params=to_json(rendered),
            )
        )
        await self.journal.flush()
        try:
            applied = await self.calls.act(node, binding.act(change, attempt))
        except OURS:
            raise
        except Exception as error:
            if isinstance(error, ConnectorError) and not isinstance(error, OutcomeUnknown):
                raise
            applied = await self._answer_lost(binding, change, attempt, error)
        self._done(node, applied)
        await self.journal.flush()

    async def _answer_lost(self, binding: Binding, change: Change, attempt: Attempt, lost: Exception) -> Applied:
        """What a write did that ended without a platform's word: a lost answer, or a defect of ours on the way."""
        if not isinstance(lost, OutcomeUnknown | TimeoutError):
            log.exception("step.write_broke")
        found = await find_out(binding, change, attempt)
        if found is None:
            # Nothing was done, as far as the platform can tell.
            raise NothingDone("The platform's answer was lost; nothing was done.", details=error_json(lost)) from lost
        return found

    def _new_attempt(self, node: GraphNode, made: dict[str, SecretStr]) -> Attempt:
        # By our own clock, which connectors ask; the history has it by the database's.
        deadline = utcnow() + timedelta(seconds=node.timeout_s)
        # One key for all tries: what an earlier one did unseen is then ours to adopt, or refused by the platform.
        key = self.journal.state.node(node.id).key or str(new_id())
        return Attempt(key=key, number=self._attempt(node), deadline=deadline, secrets=made)

    async def recover(self, node: GraphNode) -> None:
        """A step whose intent is recorded and whose outcome is not: find out what became of it, then go on."""
        structlog.contextvars.bind_contextvars(step=node.id)
        if self.stage.kind(node) != "write":
            await self.start(node)
            return
        try:
            applied = await self._recovered(node)
        except OURS:
            raise
        except Exception as error:
            self.fail(node, error)
            return
        if applied is None:
            change = Change.model_validate(self.journal.state.node(node.id).change)
            await self.guarded(node, self._write(node, change))
        else:
            self._done(node, applied)
            await self.journal.flush()

    async def _recovered(self, node: GraphNode) -> Applied | None:
        """What the lost attempt did. Raises OutcomeUnknown, whatever kept us from looking."""
        was = self.journal.state.node(node.id)
        change = Change.model_validate(was.change)
        try:
            binding = await patiently(lambda: self.stage.binding(node, dict(was.params or {})))
            made = await patiently(lambda: vaulting.prepare(self.vault, self.stage.record, node.id, binding.secrets))
            attempt = Attempt(key=was.key or "", number=was.attempt, deadline=utcnow(), secrets=made)
            return await find_out(binding, change, attempt)
        except (OutcomeUnknown, *OURS):
            raise
        except Exception as error:
            log.exception("step.recovery_failed")
            raise unknown(change, error) from error

    def _done(self, node: GraphNode, applied: Applied) -> None:
        change = applied.change.model_dump(mode="json")
        event = StepSucceeded(
            node.id, output=fitting(applied.output), change=change, port=node.info.ports[0], adopted=applied.adopted
        )
        self.journal.note(event, self.telling.success(node, applied))


def _ports(ask: Ask) -> Json:
    return {"approved": ask.approved_port, "denied": ask.denied_port, "timeout": ask.timeout_port}
