"""Forms: what people are asked to fill in, and the answer."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.bodies import FormAnswer
from app.api.who import InClient
from app.services import forms
from app.services.run_views import FormView

router = APIRouter(prefix="/clients/{client}/forms", tags=["forms"])


@router.get("")
async def list_forms(
    ctx: InClient,
    state: Annotated[Literal["open", "answered", "expired", "void", "all"], Query()] = "open",
) -> list[FormView]:
    """The client's forms, each with whether the actor may answer it."""
    return await forms.list_forms(ctx, state=None if state == "all" else state)


@router.get("/{form_id}")
async def get(ctx: InClient, form_id: UUID) -> FormView:
    """One form."""
    return await forms.get(ctx, form_id)


@router.post("/{form_id}/answer")
async def answer(ctx: InClient, form_id: UUID, body: FormAnswer) -> FormView:
    """Fill in a form: 422 names each wrong field, 409 says that it is closed. Nobody answers twice."""
    return await forms.answer(ctx, form_id, answer=body.answer)
