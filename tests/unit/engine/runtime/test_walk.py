"""A run that cannot be walked is given up, and what it did by then is not forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from app.engine.core.document import parse_document
from app.engine.core.events import Event, StepIntended, StepSucceeded
from app.engine.runtime.channel import Announcer
from app.engine.runtime.clock import DatabaseClock
from app.engine.runtime.dispatch import Claim, Taken
from app.engine.runtime.engine import Engine
from app.engine.runtime.record import Record
from app.engine.runtime.store import Store
from app.engine.runtime.walk import RunWalk

CLAIM = Claim(uuid4(), uuid4(), 1, 0)
STEP = {"id": "step", "type": "m365.user.disable", "connection": "m365", "params": {"user": "liam"}}
CHANGE = {"kind": "update", "target": "m365.user:liam", "before": {"enabled": True}, "after": {"enabled": False}}
DID = (StepIntended("step", attempt=1, key="k"), StepSucceeded("step", change=CHANGE))


def record(rule: str, events: tuple[Event, ...] = ()) -> Record:
    document = parse_document({"schema": "opsloom/workflow@1", "name": "One", "nodes": [STEP], "on_failure": rule})
    run = {
        "id": str(CLAIM.run_id), "client_id": str(CLAIM.client_id), "mode": "apply", "kind": "run", "only_node": None,
        "workflow_id": str(uuid4()), "parent": None, "started_by": None, "started_by_name": "", "label": "",
        "extra": {"faults": 3},
    }  # fmt: skip
    found: Any = {"run": run, "document": document, "events": events, "clock": DatabaseClock(datetime.now(UTC))}
    nothing: Any = {"plan": None, "sealed": None, "approvals": (), "connections": {}, "origin": None}
    return Record(**found, **nothing, client={"slug": "one"}, author=None, publisher=None)


class Kept(Store):
    """A store that has the run as it is, and keeps what is to be done with its end."""

    def __init__(self, run: Record) -> None:
        self.run = run
        self.work: list[str] = []
        self.patch: Any = None

    async def load(self, _: Claim) -> Record | None:
        return self.run

    def parameters(self, *parts: Any) -> Any:
        return parts

    async def commit_with(self, _: Claim, write: Any, work: Any) -> int:
        self.work = [getattr(part, "__name__", type(part).__name__) for part in work]
        self.patch = write[2]
        return 0


@pytest.mark.parametrize(
    ("rule", "events", "work"),
    [
        ("compensate", DID, ["close", "compensate", "Told"]),
        ("compensate", (), ["close", "Told"]),
        ("compensate", DID[:1], ["close", "Told"]),
        ("stop", DID, ["close", "Told"]),
    ],
    ids=["took effect", "nothing happened", "nothing is proved", "not asked for"],
)
async def test_what_a_run_that_is_given_up_did_is_taken_back(
    rule: str, events: tuple[Event, ...], work: list[str]
) -> None:
    loaded = record(rule)  # as of the walk's beginning: the step was done in this very walk
    store = Kept(replace(loaded, events=events))
    announcer = cast(Announcer, SimpleNamespace(announce=lambda *_: None))
    walk = RunWalk(cast(Engine, SimpleNamespace(store=store, announcer=announcer)), Taken(CLAIM, None))
    await walk._fault(loaded, RuntimeError("a defect of ours"))
    assert (store.work, store.patch["state"]) == (work, "failed")


async def test_a_history_that_cannot_be_told_ends_the_run_all_the_same() -> None:
    store = Kept(record("compensate", DID[1:] + DID))
    announcer = cast(Announcer, SimpleNamespace(announce=lambda *_: None))
    walk = RunWalk(cast(Engine, SimpleNamespace(store=store, announcer=announcer)), Taken(CLAIM, None))
    await walk._fault(store.run, RuntimeError("a defect of ours"))
    assert (store.work, store.patch["state"]) == (["close", "Told"], "failed")
