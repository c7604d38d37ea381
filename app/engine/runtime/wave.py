"""The head of a wave: lets the clients' runs begin stage by stage, watches them, stops at too many failures.

Each client's run lives in that client and is walked like any other, with its own credentials, seal and approvals. The
head only sets it free: in a tenant session of that client, one at a time. A client whose run was prepared and never set
free is recorded as not run, with the reason. While a wave is stopped or paused, what was set free and has not begun is
held back again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.data.models.runs import Run, WaveTarget
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.core.waves import OVER, Move, Rules, Standing, next_move
from app.engine.runtime import wave_runs
from app.engine.runtime.dispatch import Claim
from app.engine.runtime.engine import Engine
from app.engine.runtime.record import Record
from app.engine.runtime.store import Audit

Json = dict[str, Any]
_LOOK_AGAIN_S = 1.0
# The states of a run that has not begun.
_UNBEGUN = frozenset({"queued", "paused"})


class WaveWalk:
    """Walks the head of one wave."""

    def __init__(self, engine: Engine, claim: Claim, record: Record) -> None:
        self._engine = engine
        self._claim = claim
        self._record = record
        self._extra: Json = record.run["extra"]

    async def go(self) -> None:
        """Carry the wave on. Raises FenceLost."""
        if until := self._prepared_until():
            await self._commit({"state": self._record.run["state"]}, {"release": True, "ready_at": until})
            return
        targets = await self._targets()
        await self._close_unprepared(targets)
        for target in targets:
            await self._refresh(target)
        if self._record.cancel_asked:
            await self._cancel(targets)
        else:
            await self._move(targets)

    def _prepared_until(self) -> str | None:
        """Until when whoever started the wave has time to prepare its clients (ISO 8601), where that is under way.

        What is asked of the wave meanwhile stays asked: no run that is still being made may be missed.
        """
        until: str | None = self._extra.get("preparing_until")
        return until if until and self._record.now < datetime.fromisoformat(until) else None

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
            stopped=self._stopped,
            paused=bool(self._extra.get("paused")),
            # A plan changes nothing, wherever it is made first.
            untried=self._record.mode == "plan" or bool(self._extra.get("untried")),
        )
        if begun and not over_at and all(one.state in OVER for stage in stages[:begun] for one in stage):
            over_at = self._record.now.isoformat()
            standing = replace(standing, stage_over_at=self._record.now)
        move = next_move(self._rules, standing, self._record.now)
        if move.kind in ("stop", "pause"):
            await self._stand(move, targets, over_at)
        else:
            await self._do(move, stages, begun, over_at)

    async def _stand(self, move: Move, targets: Sequence[WaveTarget], over_at: str | None) -> None:
        """Let nothing further begin until a person says so; what has begun goes on."""
        back = await self._hold_back(targets)
        extra: Json = {"progress": _counted(targets), "stage_over_at": over_at}
        reason: Json = {"code": "wave_paused"}
        if move.kind == "stop":
            reason = {"code": "wave_stopped", "count": move.failed} if move.failed else {"code": "wave_untried"}
            if "stopped" not in self._extra or not self._stopped:
                # Written once: who resumes while this look is under way must not have it set again.
                extra["stopped"] = True
        await self._hold("paused", {**reason, "held_back": back} if back else reason, targets, extra)

    async def _do(self, move: Move, stages: Sequence[Sequence[WaveTarget]], begun: int, over_at: str | None) -> None:
        targets = [one for stage in stages for one in stage]
        await self._begin([one for stage in stages[:begun] for one in stage])
        extra: Json = {"progress": _counted(targets), "stage_over_at": over_at}
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
            await self._hold("waiting", {"code": "wave_next", "stage": begun + 1}, targets, extra)
        else:
            reason = {"code": "wave_not_done", "count": move.failed} if move.failed else None
            await self._end("failed" if move.failed else "succeeded", reason, extra)

    @property
    def _stopped(self) -> bool:
        """Whether a stop stands. A wave that an older version stopped says so in its reason only."""
        return bool(self._extra.get("stopped", (self._record.run["reason"] or {}).get("code") == "wave_stopped"))

    @property
    def _rules(self) -> Rules:
        found = self._extra["wave"]
        canary = bool(found.get("canary"))
        return Rules(pause_s=found["pause_s"], stop_at_percent=found["stop_at_percent"], canary=canary)

    async def _targets(self) -> list[WaveTarget]:
        async with tenant_session(self._record.client_id) as session:
            found = await session.exec(
                select(WaveTarget)
                .where(WaveTarget.client_id == self._record.client_id, WaveTarget.run_id == self._record.run_id)
                .order_by(col(WaveTarget.stage), col(WaveTarget.slug))
            )
            return list(found.all())

    async def _close_unprepared(self, targets: Sequence[WaveTarget]) -> None:
        """Nobody prepares the wave any longer: who has no run by now is not run, and says so."""
        for target in targets:
            if target.state == "preparing":
                await self._close(target)
        if self._extra.get("preparing_until"):
            # After the rows: whoever was only slow finds each of them closed, and makes no more runs.
            await self._engine.store.commit(self._claim, run_patch={"extra": {"preparing_until": None}})

    async def _close(self, target: WaveTarget) -> None:
        """A run that was made just before its maker died is taken over, and a row that was just settled is as it is."""
        made = target.target_run is not None and await wave_runs.exists(target.target, target.target_run)
        reason = wave_runs.CANCELLED if self._record.cancel_asked else {"code": "not_prepared"}
        async with tenant_session(self._record.client_id) as session:
            key = (target.client_id, target.run_id, target.target)
            row = await session.get(WaveTarget, key, with_for_update=True)
            assert row is not None
            if row.state == "preparing":
                row.state = "held" if made else "not_run"
                row.reason = None if made else reason
                row.target_run = target.target_run if made else None
                session.add(row)
            target.state, target.reason, target.target_run = row.state, row.reason, row.target_run

    async def _refresh(self, target: WaveTarget) -> None:
        """Look how the client's run is."""
        if target.state in OVER or target.target_run is None:
            return
        async with tenant_session(target.target) as session:
            run = await session.get(Run, (target.target, target.target_run))
            found = (run.state, run.reason, run.summary) if run else ("failed", {"code": "missing"}, {})
        # A run that was stopped while it was held never began, whoever recorded that of it.
        state = "not_run" if found[1] == wave_runs.CANCELLED else "held" if wave_runs.is_held(found[1]) else found[0]
        reason = None if found[1] == wave_runs.HELD else found[1]
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
        """Set a stage's runs free. Done again after a crash or a hold, it does nothing to those that are free."""
        held = [target for target in stage if target.state == "held" and target.target_run]
        for target in held:
            assert target.target_run is not None
            await wave_runs.set_free(target.target, target.target_run)
            await self._record_target(target, "queued", None)
        if held:
            await self._engine.wake()

    async def _hold_back(self, targets: Sequence[WaveTarget]) -> int:
        """Hold what was set free and has not begun. Gives how many runs are held so, by now."""
        for target in targets:
            run_id = target.target_run if target.state in _UNBEGUN else None
            if run_id and await wave_runs.hold_back(target.target, run_id):
                await self._record_target(target, "held", wave_runs.HELD_BACK)
        return sum(target.reason == wave_runs.HELD_BACK for target in targets)

    async def _cancel(self, targets: Sequence[WaveTarget]) -> None:
        """Ask what goes on to stop, close what never began, and end when all have ended."""
        for target in targets:
            run_id = None if target.state in OVER else target.target_run
            if run_id and await wave_runs.stop(target.target, run_id):
                await self._record_target(target, "not_run", wave_runs.CANCELLED)
        extra = {"progress": _counted(targets)}
        if all(target.state in OVER for target in targets):
            await self._end("cancelled", {"code": "cancelled"}, extra)
        else:
            await self._commit({"state": "running", "reason": None, "extra": extra}, _again(_LOOK_AGAIN_S))

    async def _hold(self, state: str, reason: Json, targets: Sequence[WaveTarget], extra: Json) -> None:
        """Wait for a person; runs that go on are looked at all the same."""
        goes_on = any(target.state not in OVER and target.state != "held" for target in targets)
        queue = _again(_LOOK_AGAIN_S) if goes_on else {"release": True}
        await self._commit({"state": state, "reason": reason, "extra": extra}, queue)

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
