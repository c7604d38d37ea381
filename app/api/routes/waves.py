"""Waves: start, look, pause, resume, cancel, undo."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.bodies import NewWave
from app.api.who import InClient
from app.services import wave_undos, waves
from app.services.wave_undos import UndoneTarget
from app.services.waves import WaveView

router = APIRouter(prefix="/clients/{client}/waves", tags=["waves"])


@router.get("")
async def list_waves(ctx: InClient, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> list[WaveView]:
    """The waves that were started from this client, newest first, without their clients."""
    return await waves.list_waves(ctx, limit=limit)


@router.post("", status_code=201)
async def start_wave(ctx: InClient, body: NewWave) -> WaveView:
    """Run one workflow over many clients, stage by stage. Who cannot be run is listed with the reason."""
    started = await waves.start(ctx, **dict(body))
    return await waves.get(ctx, started)


@router.get("/{wave_id}")
async def get(ctx: InClient, wave_id: UUID, steps: bool = False) -> WaveView:
    """One wave with its clients; with ``steps`` also the states of each one's steps."""
    return await waves.get(ctx, wave_id, matrix=waves.Matrix() if steps else None)


@router.post("/{wave_id}/pause", status_code=202)
async def pause(ctx: InClient, wave_id: UUID) -> WaveView:
    """Let nothing further begin, no stage and no queued run; runs that have begun go on."""
    await waves.pause(ctx, wave_id)
    return await waves.get(ctx, wave_id)


@router.post("/{wave_id}/resume", status_code=202)
async def resume(ctx: InClient, wave_id: UUID) -> WaveView:
    """Go on: after a pause, after too many failures, or with the next stage."""
    await waves.resume(ctx, wave_id)
    return await waves.get(ctx, wave_id)


@router.post("/{wave_id}/cancel", status_code=202)
async def cancel(ctx: InClient, wave_id: UUID) -> WaveView:
    """Ask every run to stop; clients whose stage has not begun are not run."""
    await waves.cancel(ctx, wave_id)
    return await waves.get(ctx, wave_id)


@router.post("/{wave_id}/undo", status_code=202)
async def undo(ctx: InClient, wave_id: UUID, mode: Literal["plan", "apply"] = "apply") -> list[UndoneTarget]:
    """Start (or plan) the undo of each client's run, in that client; who has none says why."""
    return await wave_undos.undo(ctx, wave_id, mode=mode)
