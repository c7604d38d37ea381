"""What tests of triggers share: a workflow that needs no platform, schedulers as real processes, moved due times."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from app.core.ids import new_id
from app.engine.core.schedule import Schedule
from app.services import triggers
from app.services.triggers import FiringView, MadeTrigger, TriggerView
from tests.engine.kit import Tenant, Worker, chain, wait_until
from tests.servers import TestStack

Json = dict[str, Any]
WORDS = {"type": "object", "properties": {"word": {"type": "string"}, "n": {"type": "integer"}}, "required": ["word"]}
NOOP: Json = {"id": "a", "type": "flow.noop"}


async def flow_of(tenant: Tenant, *nodes: Json, inputs: Json | None = None) -> UUID:
    """A published workflow without a platform."""
    found = await tenant.publish(chain(f"Flow {new_id().hex[-6:]}", *(nodes or (NOOP,)), inputs=inputs or WORDS))
    return found.id


async def scheduled(tenant: Tenant, flow: UUID, cron: str = "", **more: Any) -> MadeTrigger:
    """A schedule that is on: once a day, a minute ago."""
    due = minutes_ago(1)
    cron = cron or f"{due.minute} {due.hour} * * *"
    asked: Json = {"name": f"S {new_id().hex[-6:]}", "mode": "apply", "inputs": {"word": "x"}, **more}
    config = {"cron": cron, **asked.pop("config", {})}
    return await triggers.create(tenant.engineer, kind="schedule", workflow=flow, config=config, **asked)


def move_due(stack: TestStack, trigger: UUID, to: datetime) -> None:
    """As if the schedule had been waiting for this time."""
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE triggers SET next_due = %s, next_at = %s WHERE id = %s", (to, to, trigger))


def make_due(stack: TestStack, made: TriggerView) -> datetime:
    """As if the schedule's latest time had not been dealt with; that time."""
    now = datetime.now(UTC)
    (due,) = Schedule(made.config["cron"], "UTC").latest(now - timedelta(days=2), now, 1)
    move_due(stack, made.id, due)
    return due


def minutes_ago(minutes: float) -> datetime:
    """A whole minute that has gone by."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes)


def count_of(stack: TestStack, query: str, *values: Any) -> int:
    with psycopg.connect(stack.superuser_dsn) as link:
        found = link.execute(query, values).fetchone()  # type: ignore[arg-type]
    assert found
    return int(found[0])


def runs_of(stack: TestStack, trigger: UUID) -> int:
    """How many runs the trigger has started, whatever its history says."""
    return count_of(stack, "SELECT count(*) FROM runs WHERE extra #>> '{trigger,id}' = %s", str(trigger))


async def firings_of(
    tenant: Tenant, trigger: UUID, wanted: Callable[[list[FiringView]], Any], seconds: float = 30
) -> list[FiringView]:
    """The history as soon as ``wanted`` holds of it, newest first. Raises AssertionError."""
    until = time.monotonic() + seconds
    while True:
        found = await triggers.firings(tenant.engineer, trigger)
        if wanted(found):
            return found
        assert time.monotonic() < until, [(each.outcome, each.why) for each in found]
        await asyncio.sleep(0.05)


@dataclass
class Schedulers:
    """Starts schedulers as the product does, and ends those that are left."""

    stack: TestStack
    folder: Path
    started: list[Worker] = field(default_factory=list)

    def start(self) -> Worker:
        log = self.folder / f"scheduler-{len(self.started)}.log"
        environment = {**os.environ, **self.stack.environment()}
        with log.open("wb") as out:
            command = [sys.executable, "-m", "app.cli", "scheduler"]
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        self.started.append(Worker(process, log))
        wait_until(lambda: b"scheduler.ready" in log.read_bytes(), 30, f"{log} to be ready")
        return self.started[-1]

    def close(self) -> None:
        for scheduler in self.started:
            if scheduler.process.poll() is None:
                scheduler.kill()
