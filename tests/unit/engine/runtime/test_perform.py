"""A step that is about to write when its run is stopped writes nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from app.engine.core.document import parse_document
from app.engine.core.events import CancelAsked, Event, StepFailed, StepIntended, StepSucceeded, StepWaiting
from app.engine.core.graph import compile_graph
from app.engine.core.transitions import fold
from app.engine.runtime import perform
from app.engine.runtime.channel import Announcer
from app.engine.runtime.clock import DatabaseClock
from app.engine.runtime.dispatch import Claim
from app.engine.runtime.gate import Gate
from app.engine.runtime.journal import Journal
from app.engine.runtime.people import People
from app.engine.runtime.perform import Performer
from app.engine.runtime.stage import Stage
from app.engine.runtime.store import Store
from app.engine.runtime.vaulting import SecretStore
from app.engine.steps.base import Ask, Fill
from app.engine.steps.registry import catalogue
from connectors.base import Applied, Change

BROKEN = {"remedy": "Rejected", "code": "refused", "message": "No."}
DATABASE_NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
FAILED = (StepIntended("other", attempt=1), StepFailed("other", BROKEN))


class Kept(Store):
    """A store that keeps everything."""

    def __init__(self) -> None:
        pass

    def parameters(self, *_: Any) -> Any:
        return None

    async def commit_prepared(self, _: Any) -> int:
        return 0


class Written:
    """A write of a platform that counts what is sent."""

    secrets = ()

    def __init__(self) -> None:
        self.sent = 0

    async def plan(self, _: Any) -> Any:
        change = Change(kind="update", target="m365.user:liam", before={"enabled": True}, after={"enabled": False})
        return SimpleNamespace(change=change, output={})

    async def act(self, change: Change, _: Any) -> Applied:
        self.sent += 1
        await asyncio.sleep(0)
        return Applied(change=change)


def performer(binding: Written) -> Performer:
    step = {"id": "step", "type": "m365.user.disable", "connection": "m365", "params": {"user": "liam"}}
    nodes = [{"id": "start", "type": "flow.noop"}, step, {"id": "other", "type": "flow.noop"}]
    edges = [{"source": "start", "target": target} for target in ("step", "other")]
    document = parse_document({"schema": "opsloom/workflow@1", "name": "Two", "nodes": nodes, "edges": edges})
    begun = [StepIntended("start", attempt=1), StepSucceeded("start", port="next")]
    state = fold(compile_graph(document, catalogue()), begun)
    silent = cast(Announcer, SimpleNamespace(announce=lambda *_: None))
    journal = Journal(Kept(), Claim(uuid4(), uuid4(), 1, 0), state, 0, silent)

    async def nothing(*_: Any) -> None:
        pass

    async def bound(*_: Any) -> Written:
        return binding

    stage = SimpleNamespace(
        clients=SimpleNamespace(enter=nothing),
        kind=lambda _: "write",
        is_undo=False,
        record=None,
        scope=lambda *_: None,
        rendered=lambda *_: {"user": "liam"},
        binding=bound,
    )
    return Performer(
        stage=cast(Stage, stage),
        journal=journal,
        gate=cast(Gate, None),
        vault=cast(SecretStore, None),
        sealed=None,
        clock=DatabaseClock(DATABASE_NOW),
    )


@pytest.mark.parametrize("events", [FAILED, (CancelAsked(by=None),)], ids=["another step failed", "cancelled"])
async def test_a_run_stopped_while_secrets_are_prepared(
    monkeypatch: pytest.MonkeyPatch, events: tuple[Event, ...]
) -> None:
    binding = Written()
    walk = performer(binding)

    async def meanwhile(*_: Any) -> dict[str, Any]:
        for event in events:
            walk.journal.note(event)
        return {}

    monkeypatch.setattr(perform.vaulting, "prepare", meanwhile)
    monkeypatch.setattr(perform, "objection", lambda *_: None)
    await walk.start(walk.journal.state.graph.nodes["step"])
    assert binding.sent == 0
    assert walk.journal.state.node("step").state == "cancelled"


class Seen(Kept):
    """A store that tells of each commit which steps' events, and how much other work, are in it."""

    def __init__(self) -> None:
        self.commits: list[tuple[list[str], int]] = []
        self.open = asyncio.Event()

    def parameters(self, _: Any, events: Any = (), *more: Any) -> Any:
        return [f"{event.node} {event.kind}" for _, event in events]

    async def commit_prepared(self, write: Any) -> int:
        return await self.commit_with(cast(Claim, None), write, ())

    async def commit_with(self, _: Claim, write: Any, work: Any) -> int:
        self.commits.append((write, len(work)))
        await self.open.wait()
        return 0


@pytest.mark.parametrize("asks", ["an approval", "a form"])
async def test_what_waits_for_an_answer_is_written_with_the_question(asks: str) -> None:
    """Another branch commits at the same moment. Where its commit took the event alone and the worker died then, the
    step would wait for an answer that nobody is asked for."""
    walk = performer(Written())
    walk.journal._store = store = Seen()
    run = {"id": str(uuid4()), "client_id": str(uuid4()), "started_by": None, "extra": {}}
    record = cast(Any, SimpleNamespace(run=run, run_id=uuid4(), client_id=uuid4()))
    walk.stage = cast(Any, SimpleNamespace(record=record))
    node = walk.journal.state.graph.nodes["step"]
    walk.journal.note(StepIntended("other", attempt=1))
    if asks == "a form":
        asking = People(walk, record).ask(node, Fill(title="Which?", fields={}, roles=("engineer",)))
    else:
        asking = walk.ask(node, Ask(title="Go on?", roles=("approver",)))
    await walk.journal.flush_behind()  # a commit is under way, which the question waits for
    asked = asyncio.create_task(asking)
    await asyncio.sleep(0)
    walk.journal.note(StepSucceeded("other", port="next"))
    other = asyncio.create_task(walk.journal.flush_behind())
    await asyncio.sleep(0)
    store.open.set()
    await asyncio.gather(asked, other)
    await walk.journal.settle()
    (commit,) = [work for events, work in store.commits if "step waiting" in events]
    assert commit == 1


@pytest.mark.parametrize("said", ["approved", "denied", "expired", "void"])
def test_an_answer_to_an_older_question_of_the_step_counts_for_nothing(said: str) -> None:
    """The step asks anew, and something wakes its run before the new question is written."""
    walk = performer(Written())
    older = {"id": str(uuid4()), "node": "step", "state": said, "deadline": None, "rule": {}}
    run = {"id": str(uuid4()), "extra": {}}
    walk.gate = Gate(cast(Any, SimpleNamespace(run=run, approvals=(older,))))
    walk.journal.note(StepWaiting("step", {"kind": "approval", "reason": "moved", "approval": str(uuid4())}))
    assert not People(walk, cast(Any, None))._heed("step")
    assert walk.journal.state.node("step").state == "waiting"


@pytest.mark.parametrize("moved", [timedelta(hours=1), timedelta(hours=-1)], ids=["forward", "back"])
async def test_a_deadline_does_not_move_with_the_machineʼs_clock(
    monkeypatch: pytest.MonkeyPatch, moved: timedelta
) -> None:
    """The clock is set while the run is walked: the intent's deadline is what others wait for, by the database's."""
    seen: list[str | None] = []

    class Watched(Written):
        async def act(self, change: Change, attempt: Any) -> Applied:
            seen.append(walk.journal.state.node("step").deadline)
            return await super().act(change, attempt)

    walk = performer(Watched())
    walk.telling = cast(Any, SimpleNamespace(success=lambda *_: None))
    monkeypatch.setattr(perform, "objection", lambda *_: None)
    monkeypatch.setattr(perform, "utcnow", lambda: datetime.now(UTC) + moved)
    node = walk.journal.state.graph.nodes["step"]
    await walk.start(node)
    assert walk.journal.state.node("step").state == "succeeded", walk.journal.state.node("step").error
    assert seen[0] is not None
    late = datetime.fromisoformat(seen[0]) - DATABASE_NOW - timedelta(seconds=node.timeout_s)
    assert timedelta(0) <= late < timedelta(seconds=30)
