"""A step that is about to write when its run is stopped writes nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from app.engine.core.document import parse_document
from app.engine.core.events import CancelAsked, Event, StepFailed, StepIntended, StepSucceeded
from app.engine.core.graph import compile_graph
from app.engine.core.transitions import fold
from app.engine.runtime import perform
from app.engine.runtime.channel import Announcer
from app.engine.runtime.dispatch import Claim
from app.engine.runtime.gate import Gate
from app.engine.runtime.journal import Journal
from app.engine.runtime.perform import Performer
from app.engine.runtime.stage import Stage
from app.engine.runtime.store import Store
from app.engine.runtime.vaulting import SecretStore
from app.engine.steps.registry import catalogue
from connectors.base import Change

BROKEN = {"remedy": "Rejected", "code": "refused", "message": "No."}
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

    async def act(self, *_: Any) -> Any:
        self.sent += 1
        await asyncio.sleep(0)


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
        skew=timedelta(0),
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
