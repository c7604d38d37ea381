"""One claimed run, carried as far as it will go: plan, gate, steps, end - or given back to wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from app.engine.core.planned import Plan, summary
from app.engine.core.seal import differences
from app.engine.core.state import RunState
from app.engine.core.transitions import fold
from app.engine.runtime.aftermath import aftermath
from app.engine.runtime.batch import BatchWalk
from app.engine.runtime.batch_rows import dropping
from app.engine.runtime.compiled import graph_of
from app.engine.runtime.dispatch import FenceLost, Taken, Woken
from app.engine.runtime.drive import Drive
from app.engine.runtime.ending import call_head, cancelled, ended, finish
from app.engine.runtime.engine import Engine
from app.engine.runtime.gate import AnsweredMeanwhile, Gate, Question, asking, closing, kept_plan
from app.engine.runtime.interruptible import Interruptible
from app.engine.runtime.journal import Journal
from app.engine.runtime.own import OwnVariables
from app.engine.runtime.pace import HeldBack
from app.engine.runtime.perform import Performer
from app.engine.runtime.planner import Patience, PlanAgain, Planner, seal_of
from app.engine.runtime.record import Record, StoredPlan, parse_record
from app.engine.runtime.slots import LOOK_AGAIN_S, leave, rule_of, take
from app.engine.runtime.stage import Stage, error_json
from app.engine.runtime.store import Audit
from app.engine.runtime.trouble import OURS, is_away
from app.engine.runtime.wave import WaveWalk

Json = dict[str, Any]
log = structlog.get_logger(__name__)

_HELD = {"release": True}
# Walks of one run that may end in a defect of ours before the run fails.
_MOST_FAULTS = 4


class RunWalk:
    """Walks one run. ``nudge`` says that something was asked of it; ``stop`` lets it end after the steps in hand;
    a plan is given up."""

    def __init__(self, engine: Engine, taken: Taken) -> None:
        self._engine = engine
        self._claim = taken.claim
        self._loaded, self._loaded_at = taken.loaded, taken.at
        self._drive: Drive | None = None
        self._planning = Interruptible(taken.claim.wakeups)
        self._stopping = False
        self._journal: Journal | None = None
        self._limited = True

    @property
    def leads_on(self) -> bool:
        """Whether another run may be claimed now: this one was given back, or its client's limit held others up. Whom
        the end of a run sets free otherwise is woken by it."""
        return self._limited or self._journal is None or not self._journal.over

    def nudge(self) -> None:
        self._planning.interrupt()
        if self._drive:
            self._drive.nudge()

    def stop(self) -> None:
        self._stopping = True
        self._planning.close()
        if self._drive:
            self._drive.stop()

    async def go(self) -> None:
        """Carry the run on. Raises FenceLost when it is no longer ours, and what says that the database is away."""
        while True:
            try:
                await self._go()
            except Woken as woken:
                if self._stopping:
                    await self._engine.store.commit(self._claim, queue_patch={"release": True, "delay_s": 0})
                    return
                # Something was asked at the moment when it was to end: it is looked at as from the start.
                self._claim = replace(self._claim, wakeups=woken.wakeups)
                self._planning = Interruptible(woken.wakeups)
            else:
                return

    async def _go(self) -> None:
        try:
            loaded, self._loaded = self._loaded, None  # as of the claim; whoever looks again loads it again
            record = parse_record(loaded, self._loaded_at) if loaded else await self._engine.store.load(self._claim)
        except OURS:
            raise
        except Exception as error:
            await self._give_up(None, error)
            return
        if record is None:
            await self._engine.store.commit(self._claim, queue_patch={"done": True})
            return
        structlog.contextvars.bind_contextvars(client_id=record.run["client_id"], run_id=record.run["id"])
        clients = self._engine.clients(record)
        try:
            if record.kind == "batch":
                await BatchWalk(self._engine, self._claim, record, clients, self._planning).go()
            elif record.kind == "wave":
                await WaveWalk(self._engine, self._claim, record).go()
            else:
                await self._walk(record, Stage(record, clients, OwnVariables(self._engine.store, self._claim)))
        except (FenceLost, Woken):
            raise
        except Exception as error:
            if is_away(error):
                raise
            if isinstance(error.__cause__, AnsweredMeanwhile):
                await self._look_again()
                return
            await self._fault(record, error)
        finally:
            await clients.aclose()

    async def _look_again(self) -> None:
        """Give the run back, to be loaded anew at once: nothing of what it was to write was written."""
        queue = {"release": True, "wakeups": self._claim.wakeups, "delay_s": 0}
        await self._engine.store.commit(self._claim, queue_patch=queue)

    async def _fault(self, record: Record, error: Exception) -> None:
        """A defect of ours ended the walk. It is walked again a few times; then the run fails."""
        faults = record.run["extra"].get("faults", 0) + 1
        log.exception("run.walk_failed", faults=faults)
        if faults >= _MOST_FAULTS:
            await self._give_up(record, error)
            return
        queue = {"release": True, "wakeups": self._claim.wakeups, "delay_s": 2.0**faults}
        await self._engine.store.commit(self._claim, run_patch={"extra": {"faults": faults}}, queue_patch=queue)

    async def _give_up(self, record: Record | None, error: Exception) -> None:
        """End a run that cannot be walked, or not even read."""
        reason = error_json(error)
        log.error("run.given_up", code=reason["code"], error=type(error).__name__)
        patch: Json = {"state": "failed", "reason": reason, "started": True, "finished": True}
        patch["extra"] = {"faults": 0}
        parameters = self._engine.store.parameters(self._claim, (), patch, {"done": True})
        work: list[Audit] = [closing(self._claim.client_id, self._claim.run_id)]
        if record:
            reached = await self._reached(record)
            work += [*aftermath(record, reached, "failed", reason), *ended(record, "failed", reason)]
        if record and record.kind == "batch":
            work.insert(0, dropping(record))
        await self._engine.store.commit_with(self._claim, parameters, work)
        if record:
            call_head(self._engine, record)
        self._engine.announcer.announce(self._claim.client_id, self._claim.run_id, 0, "failed")

    async def _reached(self, record: Record) -> RunState | None:
        """What the run had come to, steps of its last walk included: what they did is taken back where the workflow
        says so. None where its history cannot be told."""
        try:
            latest = await self._engine.store.load(self._claim) or record
            return fold(graph_of(latest.document), latest.events, latest.only_node, latest.kept)
        except OURS:
            raise
        except Exception:
            log.warning("run.history_unreadable", exc_info=True)
            return None

    async def _walk(self, record: Record, stage: Stage) -> None:
        try:
            graph = stage.graph
        except Exception as error:
            # Its document does not compile, or what it undoes is not there.
            await self._give_up(record, error)
            return
        state = fold(graph, record.events, record.only_node, record.kept)
        journal = Journal(self._engine.store, self._claim, state, len(record.events), self._engine.announcer)
        self._journal, self._limited = journal, bool(record.client["limited"])
        if not await self._has_its_turn(record, stage, journal):
            return
        agreed: StoredPlan | None = record.plan
        if not record.events:
            agreed = await self._prepare(record, stage, journal)
            if agreed is None:
                return
        await self._carry_out(record, stage, journal, agreed)

    async def _has_its_turn(self, record: Record, stage: Stage, journal: Journal) -> bool:
        """Whether the run may begin, as far as its concurrency key goes; otherwise it waits, or is over."""
        rule = rule_of(record)
        if rule is None or record.cancel_asked:
            return True
        if record.pause_asked:
            await leave(record, rule)
            return True
        turn = await take(record, rule)
        if turn.held:
            return True
        reason = {"key": rule["key"], "runs": [str(run_id) for run_id in turn.ahead[:10]]}
        if rule["policy"] == "skip" and not record.events:
            await finish(self._engine, stage, journal, "cancelled", {"code": "concurrency_skipped", **reason})
        else:
            queue = {"release": True, "delay_s": LOOK_AGAIN_S}
            await journal.flush({"state": "queued", "reason": {"code": "concurrency", **reason}}, queue)
        return False

    async def _carry_out(self, record: Record, stage: Stage, journal: Journal, agreed: StoredPlan | None) -> None:
        performer = Performer(
            stage=stage,
            journal=journal,
            gate=Gate(record),
            vault=self._engine.vault,
            sealed=agreed,
            clock=record.clock,
        )
        self._drive = Drive(self._engine, self._claim, stage, journal, performer)
        if self._stopping:
            self._drive.stop()
        await self._drive.go()

    async def _prepare(self, record: Record, stage: Stage, journal: Journal) -> StoredPlan | None:
        """Plan, and get what is needed to carry the plan out; None where the run is over or has to wait."""
        if record.cancel_asked:
            await finish(self._engine, stage, journal, "cancelled", cancelled(record, journal.state))
            return None
        if record.pause_asked:
            reason = {"code": "paused", "by": record.paused_by}
            await journal.flush({"state": "paused", "reason": reason}, dict(_HELD))
            return None
        gate = Gate(record)
        if record.plan and gate.open(record.plan.seal):
            await self._wait(journal)
            return None
        if record.plan and (refused := gate.refused(record.plan.seal)):
            code = f"approval_{refused['state']}"
            await finish(self._engine, stage, journal, "cancelled", {"code": code, "approval": refused["id"]})
            return None
        journal.hold({"state": "running", "reason": None, "started": True})
        if stage.asks_platforms:
            await journal.flush()  # planning takes a while, and people see that it has begun
        try:
            patience = Patience(tries=dict(record.run["extra"].get("plan_tries", {})))
            planning = Planner(stage, patience=patience).plan()
            # What asks nobody is over before anything could interrupt it.
            plan = await (self._planning.do(planning) if stage.asks_platforms else planning)
        except PlanAgain as error:
            await self._plan_later(journal, error)
            return None
        except HeldBack as error:
            reason = {"code": "held_back", "after_s": round(error.retry_after, 1)}
            await journal.flush({"state": "waiting", "reason": reason}, {"release": True, "delay_s": error.retry_after})
            return None
        return await self._agree(record, stage, journal, plan)

    async def _plan_later(self, journal: Journal, error: PlanAgain) -> None:
        """A platform could not be asked; the queue knows when it is looked at again."""
        told = {name: error.error[name] for name in ("code", "message")}
        reason: Json = {"code": "retry", "phase": "plan", "node": error.node, "after_s": round(error.after_s, 1)}
        reason["error"] = told
        patch = {"state": "waiting", "reason": reason, "extra": {"plan_tries": error.tries}}
        await journal.flush(patch, {"release": True, "delay_s": error.after_s})

    async def _agree(self, record: Record, stage: Stage, journal: Journal, plan: Plan) -> StoredPlan | None:
        """Compare the fresh plan with what was sealed, and ask for what the policy wants. A run whose sealed plan is no
        longer there ends: it must not pass for one that was never sealed."""
        seal = seal_of(stage, plan)
        reference = record.plan or record.sealed
        if reference is None and record.plan_is_gone:
            reason = {"code": "plan_gone", "plan": record.run["sealed_plan"]}
            await finish(self._engine, stage, journal, "failed", reason)
            return None
        moved = reference is not None and reference.seal != seal
        if moved and reference:
            found = differences(reference.plan.changes, plan.changes)
            plan = plan.model_copy(update={"differences": tuple(found)})
        elif record.plan:
            plan = record.plan.plan
        fresh = StoredPlan(plan, seal)
        patch: Json = {"seal": seal, "summary": summary(plan.steps)}
        if record.run["extra"].get("plan_tries"):
            patch["extra"] = {"plan_tries": {}}  # another plan may be needed later, and counts anew
        if plan.problems or record.mode == "plan":
            await self._only_planned(stage, journal, fresh, patch)
            return None
        questions = Gate(record).questions(plan, seal, moved=moved)
        if questions:
            await self._ask(record, journal, fresh, patch, questions)
            return None
        journal.hold({**patch, **kept_plan(plan)})
        return fresh

    async def _only_planned(self, stage: Stage, journal: Journal, fresh: StoredPlan, patch: Json) -> None:
        """A plan run ends here, and so does a run that the platform would refuse: nothing has been written."""
        first = fresh.plan.problems[0] if fresh.plan.problems else None
        outcome = "failed" if first else "succeeded"
        reason = {**(first.problem or {}), "node": first.node, "phase": "plan"} if first else None
        await finish(self._engine, stage, journal, outcome, reason, {**patch, **kept_plan(fresh.plan)})

    async def _ask(
        self, record: Record, journal: Journal, fresh: StoredPlan, patch: Json, questions: list[Question]
    ) -> None:
        reason = {"code": "approval", "why": questions[0].reason}
        patch = {**patch, **kept_plan(fresh.plan), "state": "waiting", "reason": reason}
        await journal.flush(patch, dict(_HELD), asking(record, questions, fresh.seal))

    async def _wait(self, journal: Journal) -> None:
        await journal.flush({"state": "waiting"}, dict(_HELD))
