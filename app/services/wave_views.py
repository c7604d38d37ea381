"""Waves as they are shown: one with its clients, and the matrix of clients and step states."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlmodel import col, select

from app.core.context import Context
from app.data.models.runs import Run, StepEvent, WaveTarget
from app.data.session import tenant_session
from app.services import clients, workflow_versions
from app.services.run_pasts import Past, steps_of

Json = dict[str, Any]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class TargetView(_View):
    """One client of a wave. Where the reader may enter it, ``steps`` are the states of its run's steps by node, and
    ``undo`` the newest run that takes it back, with its state.
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
    progress: dict[str, int]
    paused: bool
    targets: tuple[TargetView, ...] = ()


async def matrix_of(ctx: Context, targets: Sequence[WaveTarget]) -> dict[UUID, Json]:
    """What only a client itself knows of its run (``steps``, ``undo``, ``undo_state`` of :class:`TargetView`), for the
    clients that the reader may enter."""
    mine = {client.id for client in await clients.clients_of(ctx.actor)} if ctx.actor.account_id else set()
    found: dict[UUID, Json] = {}
    for target in targets:
        if target.target in mine and target.target_run is not None and target.state != "preparing":
            inside = await clients.enter(ctx.actor, target.target)
            found[target.target] = await _known_inside(inside, target.target_run)
    return found


async def _known_inside(inside: Context, run_id: UUID) -> Json:
    async with tenant_session(inside) as session:
        run = await session.get(Run, (inside.client_id, run_id))
        if run is None or run.version is None:
            return {}
        undo = (
            await session.exec(
                select(Run.id, Run.state)
                .where(Run.client_id == inside.client_id, Run.of == run_id, Run.mode == "apply")
                .order_by(col(Run.id).desc())
                .limit(1)
            )
        ).first()
        version = await workflow_versions.find_version(session, inside, run.workflow_id, run.version)
        query = select(StepEvent).where(StepEvent.client_id == inside.client_id, StepEvent.run_id == run_id)
        history = list((await session.exec(query.order_by(col(StepEvent.seq)))).all())
    steps = steps_of(Past(version.document, history, run.only_node).state(), history, ())
    known: Json = {"steps": {step.node: step.state for step in steps}}
    return known | ({"undo": undo[0], "undo_state": undo[1]} if undo else {})


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
        progress=run.extra.get("progress", {}),
        paused=bool(run.extra.get("paused")),
    )


def target_view(target: WaveTarget, known: Json) -> TargetView:
    return TargetView(
        client=target.slug,
        name=target.name,
        stage=target.stage,
        state=target.state,
        # It is named before it is made.
        run=None if target.state == "preparing" else target.target_run,
        reason=target.reason,
        summary=target.summary,
        **known,
    )
