"""Triggers and firings as pages, the API and the command line see them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.core.settings import get_settings
from app.data.models.triggers import Trigger, TriggerFiring
from app.engine.core.schedule import Schedule, spread
from app.services.triggers.configs import ScheduleConfig

Json = dict[str, Any]
SHOWN_TIMES = 5


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class DriftView(_View):
    """What the last checks of a watch found. ``state`` is ``drift``, ``clear``, or ``unknown`` before the first check
    that went through; ``since`` is when it became so, ``error`` why the last check failed."""

    state: str
    since: datetime | None = None
    run: UUID | None = None
    counts: dict[str, int] = {}
    checked_at: datetime | None = None
    error: Json | None = None


class FiringView(_View):
    """One firing. ``outcome`` is ``started``, ``skipped`` or ``refused``; ``why`` holds a ``code``."""

    id: UUID
    at: datetime
    due: datetime | None
    outcome: str
    run: UUID | None
    why: Json | None


class TriggerView(_View):
    """A trigger. ``state`` is ``ok``, ``off``, ``stopped`` (by itself: ``stopped`` says why), ``refused`` (the last
    firing was), ``drift``, or ``failed`` (a watch's last check). ``next`` are the coming times of a schedule, with its
    spread; ``url`` is a webhook's address."""

    id: UUID
    name: str
    kind: str
    workflow_id: UUID
    workflow_name: str
    version: int | None
    mode: str
    inputs: Json
    config: Json
    watch: bool
    enabled: bool
    state: str
    stopped: Json | None
    on_behalf_of: str
    next: tuple[datetime, ...]
    url: str | None
    drift: DriftView | None
    last_firing: FiringView | None
    revision: int
    updated_at: datetime


class MadeTrigger(TriggerView):
    """A trigger that was just made, with its webhook's secret: shown this once."""

    secret: str | None = None


def trigger_fields(row: Trigger, workflow_name: str, now: datetime) -> Json:
    """The fields of a view."""
    drift = drift_view(row)
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "workflow_id": row.workflow_id,
        "workflow_name": workflow_name,
        "version": row.version,
        "mode": row.mode,
        "inputs": row.inputs,
        "config": {name: value for name, value in row.config.items() if name != "token"},
        "watch": row.watch,
        "enabled": row.enabled,
        "state": _state(row, drift),
        "stopped": row.stopped,
        "on_behalf_of": row.enabled_by_name,
        "next": _next(row, now),
        "url": hook_url(row.config["token"]) if row.kind == "webhook" else None,
        "drift": drift,
        "last_firing": _last(row.last_firing),
        "revision": row.revision,
        "updated_at": row.updated_at,
    }


def hook_url(token: str) -> str:
    """Where a webhook is sent to."""
    return f"{get_settings().base_url.rstrip('/')}/api/v1/hooks/{token}"


def drift_view(row: Trigger) -> DriftView | None:
    """What a watch has found; None for what is no watch."""
    if not row.watch:
        return None
    return DriftView(**(row.drift or {"state": "unknown"}))


def firing_view(row: TriggerFiring) -> FiringView:
    """One firing."""
    return FiringView(id=row.id, at=row.at, due=row.due, outcome=row.outcome, run=row.run_id, why=row.why)


def _last(kept: Mapping[str, Any] | None) -> FiringView | None:
    return FiringView(**kept) if kept else None


def _state(row: Trigger, drift: DriftView | None) -> str:
    if not row.enabled:
        return "stopped" if row.stopped else "off"
    if drift and (drift.error or drift.state == "drift"):
        return "failed" if drift.error else "drift"
    return "refused" if (row.last_firing or {}).get("outcome") == "refused" else "ok"


def _next(row: Trigger, now: datetime) -> tuple[datetime, ...]:
    if row.kind != "schedule" or not row.enabled or row.next_due is None:
        return ()
    config = ScheduleConfig.model_validate(row.config)
    pace = config.pace(row.id)
    times = [row.next_due, *Schedule(config.cron, config.zone).next(max(now, row.next_due), SHOWN_TIMES - 1)]
    return tuple(at + spread(pace.seed, at, pace.jitter_s) for at in times)
