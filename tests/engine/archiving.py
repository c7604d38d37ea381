"""What tests of archived history share: runs that have ended, the scheduler's sessions, and what is left of steps."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

import psycopg

from app.core.ids import created_at
from app.data import routing
from app.data.routing import Database
from app.services import runs
from tests.engine.kit import NO_POLICY, Tenant, chain, make_tenant, wait_for
from tests.servers import TestStack

SOON = timedelta(days=1)


class As:
    """Sessions of the block are the scheduler's."""

    def __init__(self, stack: TestStack) -> None:
        self._database = Database(stack.dsn("scheduler"), pool_size=2)

    async def __aenter__(self) -> None:
        self._before = routing.database()
        routing.use(self._database)

    async def __aexit__(self, *_: object) -> None:
        await self._database.dispose()
        routing.use(self._before)


async def ended_runs(count: int) -> tuple[Tenant, list[UUID]]:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("Old", {"id": "a", "type": "flow.noop"}, {"id": "b", "type": "flow.noop"}))
    ids = [await runs.start(tenant.engineer, workflow=flow.id, mode="apply") for _ in range(count)]
    for run_id in ids:
        await wait_for(tenant.engineer, run_id)
    return tenant, ids


def rows(stack: TestStack, query: str, *values: Any) -> list[Any]:
    with psycopg.connect(stack.superuser_dsn) as link:
        return link.execute(query, values).fetchall()


def steps_left(stack: TestStack, client: UUID) -> int:
    return int(rows(stack, "SELECT count(*) FROM step_events WHERE client_id = %s", client)[0][0])


def month_of(run: UUID) -> str:
    return f"{created_at(run).astimezone(UTC):%Y-%m}"
