"""A run as a worker loads it: everything needed to walk it, read in one round trip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from app.core.context import Actor, Context, system_actor
from app.engine.core.again import restored
from app.engine.core.document import Document
from app.engine.core.events import Event, StepKept, event_from_json
from app.engine.core.planned import Plan
from app.engine.core.values import run_root
from app.engine.runtime.clock import DatabaseClock
from app.engine.runtime.compiled import parsed

Json = dict[str, Any]


@dataclass(frozen=True)
class StoredPlan:
    """A plan and the seal over it."""

    plan: Plan
    seal: str


@dataclass(frozen=True)
class Origin:
    """The run that an undo reverses. ``connections`` are those that it was planned with, as in :class:`Plan`."""

    run: Json
    document: Document
    events: tuple[Event, ...]
    connections: Json


@dataclass(frozen=True)
class Record:
    """One run.

    ``connections`` maps aliases to ``{"id", "platform", "tenant", "state"}``, ``clock`` is the database's, ``plan`` is
    this run's own plan, ``sealed`` the one of the plan run it was started from, and ``abandoned`` how a former worker
    lost it: ``ended`` (gone for certain) or ``lapsed`` (its lease ran out; it may only be slow).
    """

    run: Json
    document: Document
    events: tuple[Event, ...]
    plan: StoredPlan | None
    sealed: StoredPlan | None
    approvals: tuple[Json, ...]
    connections: Mapping[str, Json]
    client: Json
    origin: Origin | None
    author: UUID | None
    publisher: UUID | None
    clock: DatabaseClock
    abandoned: str | None = None

    @cached_property
    def client_id(self) -> UUID:
        return UUID(self.run["client_id"])

    @cached_property
    def run_id(self) -> UUID:
        return UUID(self.run["id"])

    @property
    def now(self) -> datetime:
        """The database's time when the run was loaded."""
        return self.clock.told

    @property
    def mode(self) -> str:
        return str(self.run["mode"])

    @property
    def kind(self) -> str:
        return str(self.run["kind"])

    @property
    def only_node(self) -> str | None:
        found: str | None = self.run["only_node"]
        return found

    @property
    def plan_is_gone(self) -> bool:
        """Whether the plan that the run was started from is no longer there: nobody can tell what was agreed to."""
        return self.run["sealed_plan"] is not None and self.sealed is None

    @property
    def cancel_asked(self) -> bool:
        return self.run["cancel_requested_at"] is not None

    @property
    def pause_asked(self) -> bool:
        return self.run["pause_requested_at"] is not None

    @property
    def paused_by(self) -> str | None:
        """Who asked last that the run pauses or goes on."""
        found: str | None = self.run["extra"].get("paused_by")
        return found

    @property
    def kept(self) -> tuple[StepKept, ...]:
        """For a run that begins in the middle: the steps whose results come from another run."""
        return restored(self.run["extra"].get("kept", ()))

    @property
    def agreed_connections(self) -> Json:
        """The connections that the run has begun to use; for an undo also those that its origin was planned with."""
        begun = self.plan.plan.connections if self.plan and self.events else {}
        return {**begun, **(self.origin.connections if self.origin else {})}

    @cached_property
    def context(self) -> Context:
        """The worker, acting for this run's client."""
        return worker_context(self.client_id, self.client["slug"])

    @cached_property
    def on_behalf(self) -> Context:
        """The person who started the run, acting through it: whom the audit trail names for what it did."""
        started_by = self.run["started_by"]
        name = self.run["started_by_name"] or "worker@system"
        actor = Actor(account_id=UUID(started_by) if started_by else None, email=name, name=name, via="run")
        return Context(client_id=self.client_id, client_slug=self.client["slug"], actor=actor, role="system")

    @cached_property
    def seen_as_run(self) -> Json:
        """What expressions see as ``run``."""
        return run_root(self._run_by_name, planning=False)

    @cached_property
    def planned_as_run(self) -> Json:
        """The same while the run is planned."""
        return run_root(self._run_by_name, planning=True)

    @property
    def _run_by_name(self) -> Json:
        return {**self.run, "started_by": self.run["started_by_name"]}


_WORKER = system_actor("worker")


def worker_context(client_id: UUID, slug: str = "") -> Context:
    """The context in which a worker acts for one client."""
    return Context(client_id=client_id, client_slug=slug, actor=_WORKER, role="system")


def _stored_plan(raw: Json | None) -> StoredPlan | None:
    return StoredPlan(plan=Plan.model_validate(raw["plan"]), seal=raw["seal"]) if raw else None


def _uuid(raw: str | None) -> UUID | None:
    return UUID(raw) if raw else None


def _events(raw: list[Json]) -> tuple[Event, ...]:
    return tuple(event_from_json(event) for event in raw)


def _origin(raw: Json | None) -> Origin | None:
    if raw is None:
        return None
    # A run planned by an older version has not kept its connections.
    return Origin(raw["run"], parsed(raw["document"]), _events(raw["events"]), raw.get("connections") or {})


def parse_record(raw: Json, at: float | None = None) -> Record:
    """The record that ``opsloom_engine_load`` gave; ``at`` (by the monotonic clock, now where left out) is when."""
    told = datetime.fromisoformat(raw["now"])
    return Record(
        run=raw["run"],
        document=parsed(raw["document"]),
        events=_events(raw["events"]),
        plan=_stored_plan(raw["plan"]),
        sealed=_stored_plan(raw["sealed"]),
        approvals=tuple(raw["approvals"]),
        connections=raw["connections"],
        client=raw["client"],
        origin=_origin(raw["origin"]),
        author=_uuid(raw["author"]),
        publisher=_uuid(raw["publisher"]),
        clock=DatabaseClock(told) if at is None else DatabaseClock(told, at),
        abandoned=raw["abandoned"],
    )
