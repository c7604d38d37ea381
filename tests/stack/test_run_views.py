"""What is shown of a run belongs together."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.context import Context
from app.core.ids import new_id
from app.services import clients, run_loading, runs, workflows
from tests.servers import TestStack
from tests.stack.people import World

DOCUMENT = {"schema": "opsloom/workflow@1", "nodes": [{"id": "a", "type": "flow.noop"}]}


def ask(stack: TestStack, ctx: Context, run: UUID, seal: str) -> None:
    """Plan the run anew and ask about that plan, as a worker does."""
    plan = json.dumps({"steps": [], "differences": [{"node": seal}]})
    with psycopg.connect(stack.superuser_dsn) as link:
        link.execute(
            "INSERT INTO run_plans (client_id, run_id, plan, seal) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (client_id, run_id) DO UPDATE SET plan = excluded.plan, seal = excluded.seal",
            [ctx.client_id, run, plan, seal],
        )
        link.execute("UPDATE approvals SET state = 'void' WHERE run_id = %s", [run])
        link.execute(
            "INSERT INTO approvals (client_id, id, run_id, seal, title, rule) VALUES (%s, %s, %s, %s, %s, %s)",
            [ctx.client_id, new_id(), run, seal, "May it?", '{"roles": ["approver"], "count": 1}'],
        )


async def test_no_question_stands_beside_a_plan_that_is_older(
    web: TestStack, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = clients.system_context("setup", world.one.id, world.one.slug)
    flow = await workflows.import_document(ctx, document={**DOCUMENT, "name": f"Asked {new_id().hex[-8:]}"})
    run = await runs.start(ctx, workflow=flow.id, mode="apply")
    ask(web, ctx, run, "as it was")
    more = run_loading._more

    async def moved_meanwhile(*known: Any, **asked: Any) -> Any:
        ask(web, ctx, run, "moved")
        return await more(*known, **asked)

    monkeypatch.setattr(run_loading, "_more", moved_meanwhile)
    shown = await runs.get(ctx, run)
    assert [one.seal for one in shown.approvals if one.state == "open"] == ["as it was"]
    assert [one["node"] for one in shown.differences] == ["as it was"]
    monkeypatch.setattr(run_loading, "_more", more)
    later = await runs.get(ctx, run)
    assert [one["node"] for one in later.differences] == ["moved"]
    assert [one.seal for one in later.approvals if one.state == "open"] == ["moved"]
