"""The builder's messages to the browser, made from the services' views."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.core.context import Context
from app.core.errors import Invalid, Missing, Problem
from app.services import clients, connections, workflow_views, workflows
from app.services.permissions import ROLE_NAMES
from app.services.runs import RunView

Json = dict[str, Any]

_STEP_FIELDS = ("node", "state", "attempt", "output", "change", "error", "port", "adopted", "waiting_for", "maybe")


async def opened(ctx: Context, workflow: UUID, known: Sequence[str]) -> Json:
    """All that the builder needs to show ``workflow``."""
    view, detail, links = await asyncio.gather(
        workflows.get(ctx, workflow), clients.get(ctx), connections.list_connections(ctx)
    )
    return {
        "kind": "opened",
        "shown": {
            "id": str(view.id),
            "name": view.name,
            "latest_version": view.latest_version,
            "published_version": view.published_version,
            "version_revision": None if view.changed else view.revision,
        },
        "document": view.draft,
        "revision": view.revision,
        "by": view.edited_by,
        "applied": list(known),
        "catalogue": workflows.catalogue(ctx),
        "platforms": {platform.id: platform.title for platform in connections.platforms()},
        "connections": [
            {"alias": link.alias, "platform": link.platform, "name": link.name, "state": link.state} for link in links
        ],
        "variables": sorted(detail.variables),
        "roles": {role: name.as_json() for role, name in ROLE_NAMES.items()},
        "permissions": sorted(ctx.permissions),
        "me": str(ctx.actor.account_id),
    }


def problems(found: Sequence[Problem], revision: int) -> Json:
    """What is wrong with the draft of ``revision``."""
    return {"kind": "problems", "revision": revision, "problems": [problem.as_json() for problem in found]}


def version(view: workflow_views.VersionView, *, whole: bool = False) -> Json:
    """A version for the list; ``whole`` with its document."""
    return view.model_dump(mode="json", exclude=set() if whole else {"document"})


def choice_hint(ctx: Context, step_type: str, field: str) -> Json:
    """How the choices of a step type's field are found, from the catalogue and never from the browser."""
    info = next((info for info in workflows.catalogue(ctx) if info["id"] == step_type), None)
    hint = info["params"].get("properties", {}).get(field, {}).get("x-choices") if info else None
    if not hint:
        message = f"{field} offers no choices."
        raise Invalid(message, problems=[Problem("no_choices", message, field=field)])
    return dict(hint)


def choices(rows: Sequence[Mapping[str, Any]], hint: Mapping[str, Any]) -> list[Json]:
    """The platform's rows as value, label and detail."""
    return [
        {
            "value": row.get(hint["value"]),
            "label": str(row.get(hint["label"]) or row.get(hint["value"])),
            "detail": row.get(hint["detail"]) if hint.get("detail") else None,
        }
        for row in rows
    ]


def run(view: RunView) -> Json:
    """A run without its steps."""
    shown = view.model_dump(mode="json", include={"id", "mode", "kind", "state", "reason", "summary", "seal", "inputs"})
    return {**shown, "plan": list(view.plan) or None}


def steps(before: RunView | None, now: RunView) -> list[Json]:
    """The steps that are not as they were."""
    old = {step.node: step for step in before.steps} if before else {}
    return [_step(step) for step in now.steps if old.get(step.node) != step]


def _step(step: Any) -> Json:
    shown: Json = step.model_dump(mode="json", include=set(_STEP_FIELDS))
    return {**shown, "input": step.params}


def workflow_id(text: str) -> UUID:
    """The workflow of the address. Raises Missing where it is no id."""
    try:
        return UUID(text)
    except ValueError:
        raise Missing("workflow") from None
