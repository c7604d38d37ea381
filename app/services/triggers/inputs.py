"""A trigger's inputs from texts: a command line's ``name=value``. Texts with expressions stay texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.context import Context
from app.engine.core.templates import is_template
from app.services import workflows
from app.services.inputs import coerce


async def typed_inputs(
    ctx: Context, workflow: UUID | str, version: int | None, texts: Mapping[str, str]
) -> dict[str, Any]:
    """The inputs with the types that the workflow's version declares. Raises Missing."""
    if not texts:
        return {}
    flow = await workflows.get(ctx, workflow)
    number = version or flow.published_version
    document = (await workflows.version(ctx, flow.id, number)).document if number else flow.draft
    static = {name: text for name, text in texts.items() if not is_template(text)}
    return {**coerce((document or {}).get("inputs", {}), static), **{n: t for n, t in texts.items() if is_template(t)}}
