"""The head of a wave: lets the clients' runs begin stage by stage, watches them, stops at too many failures.

Each client's run lives in that client and is walked like any other, with its own credentials, seal and approvals. The
head only sets it free: in a tenant session of that client, one at a time. A client whose run was prepared and never set
free is recorded as not run, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.data.models.runs import Run, WaveTarget
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.core.waves import OVER, Move, Rules, Standing, next_move
from app.engine.runtime.dispatch import Claim
from app.engine.runtime.ending import wake_run
from app.engine.runtime.engine import Engine
from app.engine.runtime.record import Record, worker_context
from app.engine.runtime.store import Audit

Json = dict[str, Any]
_LOOK_AGAIN_S = 1.0
HELD = {"code": "wave"}


class WaveWalk:
    """Walks the head of one wave."""

    def __init__(self, engine: Engine, claim: Claim, record: Record) -> None:
        self._engine = engine
        self._claim = claim
        self._record = record
        self._extra: Json = record.run["extra"]

    async def go(self) -> None:
        """Carry the wave on. Raises FenceLost."""
        targets = await self._targets()
        await self._close_unprepared(targets)
        for target in targets:
            await self._refresh(target)
        if self._record.cancel_asked:
            await self._cancel(targets)
            return
        if self._extra.get("paused"):
            await self._hold("paused", {"code": "wave_paused"})
            return
        await self._move(targets)

    async def _move(self, targets: Sequence[WaveTarget]) -> None:
        stages = _stages(targets)
        over_at = self._extra.get("stage_over_at")
        begun = int(self._extra.get("begun", 0))
        standing = Standing(
            stages=tuple(tuple(one.state for one in stage) for stage in stages),
            begun=begun,
            stage_over_at=datetime.fromisoformat(over_at) if over_at else None,
            accepted=int(self._extra.get("accepted", 0)),
            released=int(self._extra.get("released_stages", 1)),
        )
        if begun and not over_at and all(one.state in OVER for stage in stages[:begun] for one in stage):
            over_at = self._record.now.isoformat()
            standing = replace(standing, stage_over_at=self._record.now)
        move = next_move(self._rules, standing, self._record.now)
        await self._do(move, stages, begun, over_at)

    async def _do(self, move: Move, stages: Sequence[Sequence[WaveTarget]], begun: int, over_at: str | None) -> None:
        progress = _counted([one for stage in stages for one in stage])
        extra: Json = {"progress": progress, "stage_over_at": over_at}
        if move.kind == "begin":
            await self._begin(stages[begun])
            extra |= {"begun": begun + 1, "stage_over_at": None}
            await self._commit({"state": "running", "started": True, "reason": None, "extra": extra}, _again(0.2))
        elif move.kind == "look":
            await self._commit({"state": "running", "reason": None, "extra": extra}, _again(_LOOK_AGAIN_S))
        elif move.kind == "wait":
            reason = {"code": "wave_pause", "after_s": round(move.seconds, 1)}
            await self._commit({"state": "waiting", "reason": reason, "extra": extra}, _again(move.seconds))
        elif move.kind == "ask":
            await self._hold("waiting", {"code": "wave_next", "stage": begun + 1}, extra)
        elif move.kind == "stop":
            await self._hold("paused", {"code": "wave_stopped", "count": move.failed}, extra)
        else:
            reason = {"code": "wave_not_done", "count": move.failed} if move.failed else None
            await self._end("failed" if move.failed else "succeeded", reason, extra)

    @property
    def _rules(self) -> Rules:
        found = self._extra["wave"]
        return Rules(pause_s=found["pause_s"], stop_at_percent=found["stop_at_percent"])

    async def _targets(self) -> list[WaveTarget]:
        async with tenant_session(self._record.client_id) as session:
            found = await session.exec(
                select(WaveTarget)
                .where(WaveTarget.client_id == self._record.client_id, WaveTarget.run_id == self._record.run_id)
                .order_by(col(WaveTarget.stage), col(WaveTarget.slug))
            )
            return list(found.all())

    async def _close_unprepared(self, targets: Sequence[WaveTarget]) -> None:
        """Whoever was preparing the wave died over it: those clients were not run, and it says so."""
        for target in targets:
            if target.state == "preparing":
                await self._record_target(target, "not_run", {"code": "not_prepared"})

    async def _refresh(self, target: WaveTarget) -> None:
        """Look how the client's run is."""
        if target.state in OVER or target.target_run is None:
            return
        async with tenant_session(target.target) as session:
            run = await session.get(Run, (target.target, target.target_run))
            found = (run.state, run.reason, run.summary) if run else ("failed", {"code": "missing"}, {})
        state = "held" if found[1] == HELD else found[0]
        reason = None if state == "held" else found[1]
        if (state, reason, found[2]) != (target.state, target.reason, target.summary):
            await self._record_target(target, state, reason, found[2])

    async def _record_target(
        self, target: WaveTarget, state: str, reason: Json | None, summary: Json | None = None
    ) -> None:
        async with tenant_session(self._record.client_id) as session:
            row = await session.get(WaveTarget, (target.client_id, target.run_id, target.target))
            assert row is not None
            row.state, row.reason = state, reason
            row.summary = row.summary if summary is None else summary
            session.add(row)
        target.state, target.reason = state, reason
        target.summary = target.summary if summary is None else summary

    async def _begin(self, stage: Sequence[WaveTarget]) -> None:
        """Set a stage's runs free. Done again after a crash, it does nothing to those that are free."""
        for target in stage:
            if target.state == "held" and target.target_run:
                await _set_free(target.target, target.target_run)
                await self._record_target(target, "queued", None)
        await self._engine.wake()

    async def _cancel(self, targets: Sequence[WaveTarget]) -> None:
        """Ask what goes on to stop, close what never began, and end when all have ended."""
        for target in targets:
            if target.state not in OVER and target.target_run:
                held = target.state == "held"
                await _stop(target.target, target.target_run, held=held)
                if held:
                    await self._record_target(target, "not_run", {"code": "wave_cancelled"})
        extra = {"progress": _counted(targets)}
        if all(target.state in OVER for target in targets):
            await self._end("cancelled", {"code": "cancelled"}, extra)
        else:
            await self._commit({"state": "running", "extra": extra}, _again(_LOOK_AGAIN_S))

    async def _hold(self, state: str, reason: Json, extra: Json | None = None) -> None:
        """Wait for a person; runs that go on are looked at all the same."""
        queue = _again(_LOOK_AGAIN_S) if await self._anything_goes_on() else {"release": True}
        await self._commit({"state": state, "reason": reason, "extra": extra or {}}, queue)

    async def _anything_goes_on(self) -> bool:
        return any(target.state not in OVER and target.state != "held" for target in await self._targets())

    async def _end(self, outcome: str, reason: Json | None, extra: Json) -> None:
        record = self._record

        async def audited(session: AsyncSession) -> None:
            result = "success" if outcome == "succeeded" else "failure"
            details = {"mode": record.mode, "kind": "wave", **extra["progress"]}
            await audit.record(
                session,
                record.on_behalf,
                action=f"wave_{outcome}",
                target=f"run:{record.run_id}",
                outcome=result,
                details=details,
            )

        patch = {"state": outcome, "reason": reason, "extra": extra, "started": True, "finished": True}
        await self._commit(patch, {"done": True}, audited)

    async def _commit(self, patch: Json, queue: Json, *work: Audit) -> None:
        if queue.get("release"):
            queue = {**queue, "wakeups": self._claim.wakeups}
        parameters = self._engine.store.parameters(self._claim, (), patch, queue)
        await self._engine.store.commit_with(self._claim, parameters, work)
        self._engine.announcer.announce(self._claim.client_id, self._claim.run_id, 0, patch["state"])


async def _set_free(client_id: UUID, run_id: UUID) -> None:
    async with tenant_session(client_id) as session:
        run = await session.get(Run, (client_id, run_id), with_for_update=True)
        if run is None or run.reason != HELD:
            return
        run.state, run.reason = "queued", None
        session.add(run)
        await session.flush()
        await wake_run(session, client_id, run_id)
        context = worker_context(client_id)
        await audit.record(session, context, action="run_released", target=f"run:{run_id}", details={"by": "wave"})


async def _stop(client_id: UUID, run_id: UUID, *, held: bool) -> None:
    async with tenant_session(client_id) as session:
        run = await session.get(Run, (client_id, run_id), with_for_update=True)
        if run is None or run.state in OVER:
            return
        run.cancel_requested_at = run.cancel_requested_at or utcnow()
        if held and run.reason == HELD:
            run.state, run.reason, run.finished_at = "cancelled", {"code": "wave_cancelled"}, utcnow()
        session.add(run)
        await session.flush()
        if run.state not in OVER:
            await wake_run(session, client_id, run_id)


def _stages(targets: Sequence[WaveTarget]) -> list[list[WaveTarget]]:
    stages: dict[int, list[WaveTarget]] = {}
    for target in targets:
        stages.setdefault(target.stage, []).append(target)
    return [stages[number] for number in sorted(stages)]


def _counted(targets: Sequence[WaveTarget]) -> dict[str, int]:
    states = [target.state for target in targets]
    over = sum(state in OVER for state in states)
    named = {state: states.count(state) for state in ("succeeded", "failed", "cancelled", "not_run")}
    return {"rows": len(states), "over": over, **named}


def _again(seconds: float) -> Json:
    return {"release": True, "delay_s": seconds}
