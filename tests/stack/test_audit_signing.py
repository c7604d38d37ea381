"""The end of a trail is signed in time, also where nothing more happens."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
import pytest

from app.core.context import Context
from app.core.home import PROJECT
from app.core.ids import new_id
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.runtime.signing import Signing
from app.services import clients
from tests.servers import TestStack


async def quiet_client() -> Context:
    made = await clients.add_client(
        clients.system_context("setup", new_id()).actor, slug=f"s-{new_id().hex}", name="Signed"
    )
    return clients.system_context("setup", made.id, made.slug)


async def add(ctx: Context) -> None:
    async with tenant_session(ctx) as session:
        await audit.record(session, ctx, action="tested")


def signed(stack: TestStack, client_id: UUID) -> list[int]:
    """The events that a checkpoint speaks of."""
    with psycopg.connect(stack.superuser_dsn) as link:
        query = "SELECT seq FROM audit_checkpoints WHERE client_id = %s ORDER BY seq"
        return [row[0] for row in link.execute(query, [client_id]).fetchall()]


async def test_what_is_not_signed_is_signed_once(web: TestStack) -> None:
    signing = Signing(every_s=0.0)
    async with await psycopg.AsyncConnection.connect(web.dsn("scheduler"), autocommit=True) as connection:
        while await signing.turn(connection):
            pass  # what other tests have left: a turn signs so many clients and no more
        one, two = await quiet_client(), await quiet_client()
        await add(one)
        assert await signing.turn(connection) == 2
        assert (signed(web, one.client_id), signed(web, two.client_id)) == ([2], [1])
        await add(one)
        assert await signing.turn(connection) == 1
        assert await signing.turn(connection) == 0
    assert (signed(web, one.client_id), signed(web, two.client_id)) == ([2, 3], [1])


async def test_it_looks_again_only_after_a_while(web: TestStack) -> None:
    signing = Signing(every_s=3600.0)
    async with await psycopg.AsyncConnection.connect(web.dsn("scheduler"), autocommit=True) as connection:
        await signing.turn(connection)
        ctx = await quiet_client()
        assert await signing.turn(connection) == 0
    assert signed(web, ctx.client_id) == []


async def test_one_that_cannot_be_signed_keeps_nobody_waiting(web: TestStack, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = await quiet_client(), await quiet_client()
    sign = audit.checkpoint

    async def failing(session, context):
        if context.client_id == bad.client_id:
            raise RuntimeError("a broken chain")
        return await sign(session, context)

    monkeypatch.setattr(audit, "checkpoint", failing)
    async with await psycopg.AsyncConnection.connect(web.dsn("scheduler"), autocommit=True) as connection:
        await Signing(every_s=0.0).turn(connection)
    assert (signed(web, bad.client_id), signed(web, good.client_id)) == ([], [1])


@contextmanager
def scheduler(stack: TestStack) -> Iterator[None]:
    """The scheduler's process."""
    environment = {**os.environ, **stack.environment()}
    process = subprocess.Popen([sys.executable, "-m", "app.cli", "scheduler"], cwd=PROJECT, env=environment)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0


async def test_the_scheduler_does_it(web: TestStack) -> None:
    ctx = await quiet_client()
    with scheduler(web):
        until = time.monotonic() + 60
        while not signed(web, ctx.client_id):
            assert time.monotonic() < until, "nothing was signed"
            await asyncio.sleep(0.1)
    assert signed(web, ctx.client_id) == [1]
