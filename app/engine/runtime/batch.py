"""A batch: the rows of a table as one plan, one seal and one approval, then a run of its own for each row.

The head plans every row against one shared picture of the tenant, so that ten rows cannot each count on the last free
seat. Rows that the platform would refuse are held back with the reason; the others go on.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.errors import Stale
from app.data.repositories import audit, batches
from app.data.session import tenant_session
from app.engine.core.document import canonical
from app.engine.core.planned import Plan, PlannedStep, summary
from app.engine.runtime.batch_rows import NOTHING, PlannedRow, added, compared, counted, of_row, settled
from app.engine.runtime.clients import Clients
from app.engine.runtime.dispatch import Claim
from app.engine.runtime.engine import Engine
from app.engine.runtime.gate import Gate, asking, withdrawing
from app.engine.runtime.interruptible import Interruptible
from app.engine.runtime.own import OwnVariables
from app.engine.runtime.planner import Patience, Planner, seal_of
from app.engine.runtime.record import Record, StoredPlan
from app.engine.runtime.stage import Stage, error_json
from app.engine.runtime.store import Audit
from connectors.base import World

Json = dict[str, Any]
Row = tuple[UUID, int]
_ROWS_A_COMMIT = 100
_SHOW_AFTER_S = 1.0
# A row that ends calls its batch (app/engine/runtime/heads.py), unless its worker dies just then.
_LOOK_AGAIN_S, _LOOK_LAST_S = 10.0, 300.0
# A batch begins its plan anew where it has to give its run back, so it waits long for its turn at a platform.
_PATIENCE_S = 900.0


class BatchWalk:
    """Walks the head of a batch; its rows are walked as runs of their own once they are let go."""

    def __init__(self, engine: Engine, claim: Claim, record: Record, clients: Clients, planning: Interruptible) -> None:
        self._engine = engine
        self._claim = claim
        self._record = record
        self._clients = clients
        self._planning = planning

    async def go(self) -> None:
        """Carry the batch on. Raises FenceLost."""
        record = self._record
        if record.cancel_asked:
            await self._cancel_rows()
        if record.run["extra"].get("released"):
            await self._watch()
        elif record.pause_asked and not record.cancel_asked:
            await self._commit({"state": "paused", "reason": self._paused}, {"release": True})
        elif record.cancel_asked:
            await self._end("cancelled", {"code": "cancelled"}, await self._done())
        elif record.run["seal"] is None:
            await self._plan()
        else:
            await self._answered()

    @property
    def _paused(self) -> Json:
        return {"code": "paused", "by": self._record.paused_by}

    async def _commit(self, patch: Json, queue: Json | None = None, *work: Audit) -> None:
        if queue and (queue.get("release") or queue.get("done")):
            queue = {**queue, "wakeups": self._claim.wakeups}
        parameters = self._engine.store.parameters(self._claim, (), patch, queue)
        await self._engine.store.commit_with(self._claim, parameters, work)
        self._engine.announcer.announce(self._claim.client_id, self._claim.run_id, 0, patch.get("state", "running"))

    async def _plan(self) -> None:
        """Plan every row, seal them together, and ask for what the policy wants of all of them."""
        await self._commit({"state": "running", "started": True, "reason": None})
        world, patience = World(), Patience(_PATIENCE_S, gives_back=False)
        planned: list[PlannedRow] = []
        async with tenant_session(self._record.client_id) as session:
            rows = await batches.numbers(session, self._record.client_id, self._record.run_id)
        while len(planned) < len(rows):
            part = await self._plan_some(rows[len(planned) :][:_ROWS_A_COMMIT], world, patience)
            planned += part
            progress = {"planned": len(planned), "rows": len(rows)}
            await self._commit({"extra": {"progress": progress}}, None, self._storing(part))
        await self._sealed(planned)

    async def _plan_some(self, rows: Sequence[Row], world: World, patience: Patience) -> list[PlannedRow]:
        """Plan the first of ``rows``: as many as are planned before people want to see how far it is."""
        store, client_id = self._engine.store, self._record.client_id
        loaded = await asyncio.gather(*(store.load(Claim(client_id, run_id, 0, 0)) for run_id, _ in rows))
        began, planned = time.monotonic(), []
        for row, record in zip(rows, loaded, strict=True):
            assert record is not None
            planned.append(await self._planning.do(self._plan_row(row, record, world, patience)))
            if time.monotonic() - began > _SHOW_AFTER_S:
                break
        return planned

    async def _plan_row(self, row: Row, loaded: Record, world: World, patience: Patience) -> PlannedRow:
        patience.tries.clear()
        # All rows use what the head has opened, and are sealed with that.
        loaded = replace(loaded, connections=self._record.connections)
        clients = self._clients.held_to(loaded.agreed_connections)
        stage, moved = Stage(loaded, clients, OwnVariables(self._engine.store, self._claim)), False
        try:
            if loaded.plan_is_gone:
                raise Stale("The plan of this row is no longer there. Plan again.", code="plan_gone")
            plan = await Planner(stage, world, patience).plan()
            seal = seal_of(stage, plan)
            if moved := loaded.sealed is not None and loaded.sealed.seal != seal:
                plan = compared(loaded.sealed, plan)
        except Exception as error:
            problem = PlannedStep(node="", name="", type="", version=1, problem=error_json(error))
            plan, seal = Plan(steps=(problem,)), ""
        return PlannedRow(*row, StoredPlan(plan, seal), moved)

    def _storing(self, rows: Sequence[PlannedRow]) -> Audit:
        kept = [settled(row, self._record.mode) for row in rows]
        return lambda session: batches.keep_plans(session, self._record.client_id, kept)

    async def _sealed(self, rows: Sequence[PlannedRow]) -> None:
        good = [row for row in rows if not row.refused]
        seal = hashlib.sha256(canonical([[row.number, row.stored.seal] for row in good])).hexdigest()
        # What a refused row would have changed is changed by nobody.
        counts = {**NOTHING, **added(summary(row.stored.plan.steps) for row in good)}
        counts["problems"] = sum(len(row.stored.plan.problems) for row in rows)
        patch: Json = {"seal": seal, "summary": {**counts, "rows": len(rows), "refused": len(rows) - len(good)}}
        if self._record.mode == "plan" or not good:
            outcome = "succeeded" if good else "failed"
            reason = None if good else {"code": "all_rows_refused"}
            await self._end(outcome, reason, patch)
            return
        await self._ask_or_let_go(good, seal, patch)

    async def _ask_or_let_go(self, rows: Sequence[PlannedRow], seal: str, patch: Json) -> None:
        """One question about all rows together, as long as the policy wants another."""
        everything = Plan(steps=tuple(of_row(row, step) for row in rows for step in row.stored.plan.steps))
        questions = Gate(self._record).questions(everything, seal, moved=any(row.moved for row in rows))
        if questions:
            reason = {"code": "approval", "why": questions[0].reason}
            work = asking(self._record, questions, seal)
            await self._commit({**patch, "state": "waiting", "reason": reason}, {"release": True}, work)
        else:
            await self._let_go(seal, patch)

    async def _answered(self) -> None:
        seal = self._record.run["seal"]
        gate = Gate(self._record)
        if refused := gate.refused(seal):
            await self._cancel_rows()
            reason = {"code": f"approval_{refused['state']}", "approval": refused["id"]}
            await self._end("cancelled", reason, await self._done())
        elif gate.open(seal):
            await self._commit({"state": "waiting"}, {"release": True})
        else:
            await self._ask_or_let_go(await self._planned_rows(), seal, {})

    async def _planned_rows(self) -> list[PlannedRow]:
        """The rows that may run, with the plans they were sealed with."""
        async with tenant_session(self._record.client_id) as session:
            found = await batches.plans(session, self._record.client_id, self._record.run_id)
        return [
            PlannedRow(run_id, number, StoredPlan(Plan.model_validate(plan), seal))
            for run_id, number, plan, seal in found
        ]

    async def _let_go(self, seal: str, patch: Json) -> None:
        """Every row that may run becomes a run that workers take."""
        client_id, head = self._record.client_id, self._record.run_id
        state: Json = {**patch, "state": "running", "reason": None, "extra": {"released": True}}
        queue = {"release": True, "delay_s": _LOOK_AGAIN_S}
        await self._commit(state, queue, lambda session: batches.let_go(session, client_id, head, seal))
        await self._engine.wake()

    async def _cancel_rows(self) -> None:
        client_id, head = self._record.client_id, self._record.run_id

        async def cancel(session: AsyncSession) -> None:
            if self._record.run["extra"].get("released"):
                await batches.stop(session, client_id, head)
            else:
                await batches.drop(session, client_id, head, "cancelled", NOTHING, asked=True)

        await self._commit({}, None, cancel)

    async def _watch(self) -> None:
        """Some rows have ended, or it was time to look: the batch ends with the last of them."""
        record = self._record
        async with tenant_session(record.client_id) as session:
            states = await batches.states(session, record.client_id, record.run_id)
        found = counted(states)
        if found["over"] < found["rows"]:
            look_s = self._look_again_s(found)
            patch: Json = {"extra": {"progress": found, "look_s": look_s}, "state": "running", "reason": None}
            if record.pause_asked and not record.cancel_asked:
                patch |= {"state": "paused", "reason": self._paused}
            await self._commit(patch, {"release": True, "delay_s": look_s})
            return
        failed = found["rows"] - found["succeeded"]
        outcome = "cancelled" if record.cancel_asked else "failed" if failed else "succeeded"
        reason: Json | None = {"code": "rows_not_done", "count": failed} if failed else None
        if outcome == "cancelled" and not failed:
            reason = {"code": "cancelled"}  # it was asked when the last row had just ended
        await self._end(outcome, reason, {"extra": {"progress": found}, **await self._done()})

    def _look_again_s(self, found: Json) -> float:
        """When the batch looks at its rows if none of them calls it: later and later while nothing happens."""
        extra = self._record.run["extra"]
        if found != extra.get("progress"):
            return _LOOK_AGAIN_S
        return min(2 * extra.get("look_s", _LOOK_AGAIN_S), _LOOK_LAST_S)

    async def _done(self) -> Json:
        """What the rows did, counted together as a plan counts."""
        async with tenant_session(self._record.client_id) as session:
            return {"summary": await batches.done(session, self._record.client_id, self._record.run_id)}

    async def _end(self, outcome: str, reason: Json | None, patch: Json) -> None:
        record = self._record

        async def audited(session: AsyncSession) -> None:
            result = "success" if outcome == "succeeded" else "failure"
            target = f"run:{record.run_id}"
            details = {"mode": record.mode, "kind": "batch", "code": (reason or {}).get("code")}
            await audit.record(
                session, record.on_behalf, action=f"batch_{outcome}", target=target, outcome=result, details=details
            )

        state = {**patch, "state": outcome, "reason": reason, "started": True, "finished": True}
        await self._commit(state, {"done": True}, withdrawing(record), audited)
