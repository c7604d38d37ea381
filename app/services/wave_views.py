"""Waves as they are shown: one with its clients."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.core.run_states import OVER
from app.data.models.runs import Run, WaveTarget
from app.services.run_rules import priority_name

Json = dict[str, Any]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class TargetView(_View):
    """One client of a wave. Where the reader may read its runs, ``steps`` are the states of its run's steps by node,
    ``undo`` the newest run that takes it back, with its state, and ``now`` the state of one that has gone on since it
    ended in the wave, as somebody tried it again; otherwise ``reason`` is its code alone.
    """

    client: str
    name: str
    stage: int
    state: str
    run: UUID | None
    reason: Json | None
    summary: dict[str, int]
    steps: dict[str, str] = {}
    undo: UUID | None = None
    undo_state: str | None = None
    now: str | None = None


class WaveView(_View):
    """A wave with its clients. ``begun`` is the number of stages that were let go, of ``stages`` in all."""

    id: UUID
    workflow_id: UUID
    workflow_name: str
    version: int | None
    mode: str
    state: str
    reason: Json | None
    inputs: Json
    started_by: str
    created_at: datetime
    finished_at: datetime | None
    begun: int
    stages: int
    pause_s: float | Literal["manual"]
    stop_at_percent: float
    priority: str
    progress: dict[str, int]
    paused: bool
    targets: tuple[TargetView, ...] = ()


def wave_view(run: Run, name: str) -> WaveView:
    rules = run.extra["wave"]
    return WaveView(
        id=run.id,
        workflow_id=run.workflow_id,
        workflow_name=name,
        version=run.version,
        mode=run.mode,
        state=run.state,
        reason=run.reason,
        inputs=run.inputs,
        started_by=run.started_by_name,
        created_at=run.created_at,
        finished_at=run.finished_at,
        begun=run.extra.get("begun", 0),
        stages=rules["stages"],
        pause_s=rules["pause_s"],
        stop_at_percent=rules["stop_at_percent"],
        priority=priority_name(run.priority),
        progress=run.extra.get("progress", {}),
        paused=bool(run.extra.get("paused")),
    )


def target_view(target: WaveTarget, known: Json, *, told: bool) -> TargetView:
    """``told``: the reader may read the client's runs. Others learn that it failed, and not the platform's words, which
    may name people and things of the client."""
    reason = target.reason
    return TargetView(
        client=target.slug,
        name=target.name,
        stage=target.stage,
        state=target.state,
        # It is named before it is made.
        run=None if target.state == "preparing" else target.target_run,
        reason=reason if told or reason is None else {"code": reason.get("code")},
        summary=target.summary,
        **{**known, "now": _since(target, known.get("now"))},
    )


def _since(target: WaveTarget, now: str | None) -> str | None:
    return now if target.state in OVER and now != target.state else None
