"""The steps of one run, walked: commands become tasks, tasks become events, events become commands."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog

from app.engine.core.events import (
    CancelAsked,
    PauseAsked,
    Resumed,
    StepCancelled,
    StepSkipped,
    StepSucceeded,
)
from app.engine.core.graph import Graph, GraphNode
from app.engine.core.plan import CancelStep, FinishBody, FinishRun, SkipStep, StartStep, due, waits_for_people
from app.engine.core.state import places
from app.engine.core.values import to_json
from app.engine.runtime import reasons
from app.engine.runtime.deciding import FlowSteps
from app.engine.runtime.dispatch import Claim, FenceLost, Woken
from app.engine.runtime.ending import finish
from app.engine.runtime.engine import Engine
from app.engine.runtime.gate import Gate
from app.engine.runtime.journal import Journal
from app.engine.runtime.people import People
from app.engine.runtime.perform import Performer
from app.engine.runtime.record import Record
from app.engine.runtime.recovery import calls_left_s
from app.engine.runtime.requests import Requests
from app.engine.runtime.stage import Stage
from app.engine.runtime.waits import Waits
from app.engine.steps.base import Decision, Poll

Json = dict[str, Any]
log = structlog.get_logger(__name__)

# A shorter wait than this is slept through; for a longer one the run is given back.
_WORTH_GIVING_BACK_S = 2.0
# What has happened is written after this long where nothing that comes after it takes it along.
_UNTOLD_S = 0.2
# How long a walk that ends in trouble waits for the calls it has under way.
_CALLS_S = 30.0


class Drive:
    """Carries a run from event to event until it ends or nothing can be done now."""

    def __init__(self, engine: Engine, claim: Claim, stage: Stage, journal: Journal, performer: Performer) -> None:
        self._engine = engine
        self._claim = claim
        self._stage = stage
        self._journal = journal
        self._performer = performer
        self._waits = Waits(performer)
        self._people = People(performer, stage.record)
        self._flow = FlowSteps(performer, self._people, self._waits)
        self._requests = Requests(journal)
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._nudged = asyncio.Event()
        self._stopping = False
        self._recorded = stage.record

    @property
    def _graph(self) -> Graph:
        """The run's graph as it is now: it grows when the body of a step is laid out."""
        return self._journal.state.graph

    def nudge(self) -> None:
        """Something was asked of the run: look at it before the next step."""
        self._nudged.set()

    def stop(self) -> None:
        """Start nothing more; give the run back when the steps in hand are done."""
        self._stopping = True
        self._nudged.set()

    async def go(self) -> None:
        """Carry on. Raises FenceLost, and what is our own trouble."""
        try:
            await self._carry_on()
        except FenceLost:
            raise
        except Exception:
            # What was sent is waited for, so that the next walk need not guess whether it is still on its way.
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_CALLS_S)
            raise
        finally:
            await self._let_go()

    async def _carry_on(self) -> None:
        wait_s = calls_left_s(self._journal.state, self._recorded.abandoned, self._performer.now())
        if wait_s is not None:
            await self._journal.flush(
                {"reason": {"code": "takeover"}}, {"release": True, "delay_s": wait_s, "abandoned": "lapsed"}
            )
            return
        if self._recorded.events:
            self._journal.hold({"state": "running", "reason": None})
        await self._begin()
        while True:
            if not self._journal.state.finished:
                if await self._turn():
                    return
            # It was over before, and what was asked of it since changed nothing: it is over again.
            elif await self._finish(FinishRun(self._journal.state.outcome or "failed", self._journal.state.failed)):
                return
            else:
                await self._look_up()

    async def _begin(self) -> None:
        """Take up what a former walk left: requests, decisions, and steps whose outcome nobody recorded."""
        left = [self._graph.by_index[place] for place in places(self._journal.state.running)]
        await self._heed(self._recorded)
        for node in left:
            if self._stage.kind(node) == "flow" and isinstance(answer := self._flow.decide(node), Decision):
                self._journal.note(StepSucceeded(node.id, output=to_json(answer.output), port=answer.port))

    async def _turn(self) -> bool:
        """One round: heed, start what can be started, wait for something. True: the run is over or given back."""
        if self._journal.was_woken or self._nudged.is_set():
            self._nudged.clear()
            await self._look_up()
        if not self._stopping:
            finished = await self._start_all()
            if finished:
                return await self._finish(finished)
        if self._journal.commands and not self._stopping:
            return False
        if self._tasks:
            await self._wait_for_something()
            return False
        await self._journal.settle()
        return False if self._journal.was_woken else await self._pause()

    async def _start_all(self) -> FinishRun | None:
        """Perform the commands there are: flow steps at once, the others as tasks. The end, where it has come."""
        commands, self._journal.commands = self._journal.commands, []
        flow: list[StartStep] = []
        for command in commands:
            if isinstance(command, FinishRun):
                return command
            if isinstance(command, SkipStep):
                self._journal.note(StepSkipped(command.node, command.port))
            elif isinstance(command, CancelStep):
                self._give_up(command.node)
            elif self._journal.state.stopping or self._journal.state.node(command.node).terminal:
                continue  # it was to start before the run, or its part of the run, was stopped
            elif isinstance(command, FinishBody):
                self._flow.finish_body(self._graph.nodes[command.node])
            elif self._stage.kind(self._graph.nodes[command.node]) == "flow":
                flow.append(command)
            else:
                self._spawn(self._graph.nodes[command.node])
        if flow:
            await self._flow.decide_all(flow)
            await self._start_due()
        return None

    def _give_up(self, name: str) -> None:
        """Wait no longer for what the step waits for."""
        if self._journal.state.node(name).state == "waiting":
            self._journal.note(StepCancelled(name), self._people.withdrawn(name))

    def _spawn(self, node: GraphNode, *, recovering: bool = False) -> None:
        """Work on a step, unless that is being done already."""
        if node.id in self._tasks.values():
            return
        work = self._performer.recover(node) if recovering else self._performer.start(node)
        self._tasks[asyncio.create_task(work, name=node.id)] = node.id

    async def _wait_for_something(self) -> None:
        if self._performer.asked and not self._stopping:
            await self._look_up()  # what was asked has a deadline, which comes whatever else is under way
            return
        nudge = asyncio.create_task(self._nudged.wait())
        behind = self._journal.behind
        waited = {*self._tasks, nudge, behind} if behind else {*self._tasks, nudge}
        times = [] if self._stopping else [self._next_try_s(), self._next_deadline_s()]
        times.append(_UNTOLD_S if self._journal.pending else None)
        timeout = min((time for time in times if time is not None), default=None)
        try:
            done, _ = await asyncio.wait(waited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nudge.cancel()
        if not done and self._journal.pending:
            await self._journal.flush_behind()
        for task in [task for task in self._tasks if task in done]:
            del self._tasks[task]
            task.result()
        if behind in done:
            await self._journal.settle()
        await self._start_due()
        if not self._stopping and self._next_deadline_s() == 0.0:
            await self._look_up()

    def _next_deadline_s(self) -> float | None:
        """Seconds until the first open question runs out, or people are reminded of one; None while that counts for
        nothing."""
        state = self._journal.state
        seconds = None if state.paused or state.stopping else self._deadline_s()
        return None if seconds is None else max(0.0, seconds)

    def _next_try_s(self) -> float | None:
        """Seconds until a step is to be tried again or looked after, None where none is. What has begun does not
        count."""
        state, begun = self._journal.state, set(self._tasks.values())
        if state.paused:
            return None
        tries = [state.node(name).retry_at for name in state.names(state.waiting) if name not in begun]
        times = [datetime.fromisoformat(at) for at in tries if at is not None]
        times += [at for name, at in self._waits.times().items() if name not in begun]
        return max(0.0, (min(times) - self._performer.now()).total_seconds()) if times else None

    async def _start_due(self) -> None:
        state = self._journal.state
        if not state.waiting or self._stopping or state.stopping or state.paused:
            return
        flow: list[StartStep] = []
        for start in due(state, self._performer.now()):
            node = self._graph.nodes[start.node]
            if self._stage.kind(node) == "flow":
                flow.append(start)
            else:
                self._spawn(node)
        if flow:
            await self._flow.decide_all(flow)
        for name in self._waits.ripe():
            if self._waits.sleeps(name):
                self._waits.wake(name)
            else:
                self._look(self._graph.nodes[name])

    def _look(self, node: GraphNode) -> None:
        """Look once more for what a step waits for, unless that is being done already."""
        if node.id in self._tasks.values():
            return
        poll = self._flow.decide(node)
        if isinstance(poll, Poll):
            self._tasks[asyncio.create_task(self._waits.look(node, poll), name=node.id)] = node.id

    async def _look_up(self) -> None:
        """Read again what people have asked of the run since."""
        seen = self._journal.woken
        record = await self._engine.store.load(self._claim)
        if record is None:
            raise FenceLost
        self._journal.wakeups = max(seen, self._journal.wakeups)
        await self._heed(record)

    async def _heed(self, record: Record) -> None:
        """Turn what people did into events: a cancel, an answer, a step to try again."""
        self._recorded = record
        self._performer.gate, self._performer.clock = Gate(record), record.clock
        self._performer.asked = False
        await self._requests.heed(record)
        state = self._journal.state
        if record.cancel_asked and not state.stopping and not state.finished:
            self._journal.note(CancelAsked(by=None))
            self._journal.replan()  # what was to be done next is void
            self._performer.calls.halt()
        self._heed_pause(record)
        for place in places(self._journal.state.running):
            # Under way, and not by this walk: a former one has left it, or a person has it looked for again.
            if self._stage.kind(self._graph.by_index[place]) != "flow":
                self._spawn(self._graph.by_index[place], recovering=True)
        for name in await self._people.heed(record):
            self._spawn(self._graph.nodes[name])
        await self._start_due()

    def _heed_pause(self, record: Record) -> None:
        """Pause, or go on: what counts is how it was asked last, however often that was."""
        state = self._journal.state
        if state.finished or state.stopping or record.pause_asked == state.paused:
            return
        event = PauseAsked if record.pause_asked else Resumed
        self._journal.note(event(by=record.paused_by))
        self._journal.replan()

    async def _pause(self) -> bool:
        """Nothing runs and nothing can start: sleep through a short wait, or give the run back."""
        if self._performer.asked and not self._stopping:
            await self._look_up()  # the deadline of what was asked, and an answer that came at once
            return False
        wait_s = self._next_try_s()
        if wait_s is not None and wait_s < _WORTH_GIVING_BACK_S and not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._nudged.wait()
            await self._start_due()
            return False
        await self._give_back(wait_s)
        return True

    def _deadline_s(self) -> float | None:
        """Seconds until the first open question runs out, or people are reminded of one."""
        times = self._people.times()
        return min(((at - self._performer.now()).total_seconds() for at in times), default=None)

    async def _give_back(self, wait_s: float | None) -> None:
        people = waits_for_people(self._journal.state)
        paused = self._journal.state.paused and not self._journal.state.stopping
        reason = reasons.waiting(self._journal.state, people, self._waits.times(), wait_s)
        patch: Json = {"state": "running" if self._stopping else "waiting", "reason": reason}
        queue: Json = {"release": True}
        if self._stopping:
            queue["delay_s"] = 0
        elif paused:
            patch = {"state": "paused", "reason": {"code": "paused", "by": self._recorded.paused_by}}
        elif timers := [s for s in (wait_s, self._deadline_s()) if s is not None]:
            queue["delay_s"] = max(0.0, min(timers))
        await self._journal.flush({**patch, **self._bookkeeping()}, queue)

    def _bookkeeping(self) -> Json:
        """The walk went well: earlier faults no longer count."""
        return {"extra": {"faults": 0}} if self._recorded.run["extra"].get("faults") else {}

    async def _finish(self, command: FinishRun) -> bool:
        """Record the end. False where something was asked of the run at the last moment: it is to be heeded first."""
        reason = reasons.ended(command, self._journal.state, self._recorded)
        try:
            await finish(self._engine, self._stage, self._journal, command.outcome, reason, self._bookkeeping())
        except Woken:
            return False
        return True

    async def _let_go(self) -> None:
        """Leave no task behind when the walk ends early (the fence is lost, the worker stops)."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._journal.abandon()
