"""rls_cost: the same chain with row-level security on and off, and through PgBouncer and past it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import conninfo_to_dict

from app.core.context import Context
from app.data import routing
from app.embedded import postgres
from app.embedded.state import State, free_port
from app.services import runs, workflows
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import chain, result, superuser, took, walked

STEPS = 1000
PGBOUNCER = "/usr/sbin/pgbouncer"
_FORCED = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity"
_POOLED = """[databases]
opsloom = host={host} port={port} dbname=opsloom
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = transaction
max_client_conn = 200
default_pool_size = 20
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
"""


async def rls_cost(bench: Bench, times: int) -> dict[str, Any]:
    """Steps a second with row-level security forced, as in production; the limit is the same without it. The first
    page of a list and the chain through PgBouncer are in the note."""
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    flow = await workflows.import_document(ctx, document=chain("chain", STEPS))
    with bench.workers(1):
        await walked(bench, ctx, flow.id)
        on, off, on_list, off_list = [], [], [], []
        for _ in range(times):
            on.append(await _rate(bench, ctx, flow.id))
            on_list.append(await _list_ms(ctx))
            with _without_rls(bench):
                off.append(await _rate(bench, ctx, flow.id))
                off_list.append(await _list_ms(ctx))
    pooled = await _through_pgbouncer(bench, ctx, flow.id, times)
    await routing.dispose()
    note = f"list of runs {median(on_list):.1f} ms with, {median(off_list):.1f} ms without; {pooled}"
    return result(bench, "rls_cost", "steps/s", median(on), median(off), times, note)


async def _rate(bench: Bench, ctx: Context, flow: UUID) -> float:
    return STEPS / took(bench, await walked(bench, ctx, flow), STEPS)


async def _list_ms(ctx: Context) -> float:
    began = time.perf_counter()
    for _ in range(20):
        await runs.list_runs(ctx)
    return (time.perf_counter() - began) / 20 * 1000


@contextmanager
def _without_rls(bench: Bench) -> Iterator[None]:
    """The bench's own database without row-level security, for as long as the block lasts."""
    with psycopg.connect(superuser(bench), autocommit=True) as link:
        tables = [name for (name,) in link.execute(_FORCED).fetchall()]
        try:
            for name in tables:
                link.execute(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY")
            yield
        finally:
            for name in tables:
                link.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")


async def _through_pgbouncer(bench: Bench, ctx: Context, flow: UUID, times: int) -> str:
    if shutil.which(PGBOUNCER) is None:
        return "PgBouncer left out: it is not installed (Debian's package pgbouncer)"
    straight = postgres.dsn(State.load(bench.layout), "opsloom_worker")
    with (
        _pgbouncer(bench, straight) as dsn,
        bench.workers(1, OPSLOOM_DATABASE_URL_WORKER=dsn, OPSLOOM_DATABASE_PREPARES="false"),
    ):
        await walked(bench, ctx, flow)
        pooled = [await _rate(bench, ctx, flow) for _ in range(times)]
    with bench.workers(1):
        await walked(bench, ctx, flow)
        past = [await _rate(bench, ctx, flow) for _ in range(times)]
    return f"worker through PgBouncer {median(pooled):.0f} steps/s, past it right after {median(past):.0f}"


@contextmanager
def _pgbouncer(bench: Bench, straight: str) -> Iterator[str]:
    """The worker's address through a PgBouncer that pools by transaction."""
    to = conninfo_to_dict(straight)
    folder = bench.layout.home / "pgbouncer"
    folder.mkdir()
    listen = free_port()
    (folder / "users").write_text(f'"{to["user"]}" "{to["password"]}"\n')
    (folder / "ini").write_text(_POOLED.format(host=to["host"], port=to["port"], listen=listen, folder=folder))
    command = [PGBOUNCER, str(folder / "ini")]
    if os.geteuid() == 0:  # it refuses to run as root
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "nobody")
        command += ["-u", "nobody"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    dsn = straight.replace(f":{to['port']}/", f":{listen}/")
    try:
        _wait_for(dsn)
        yield dsn
    finally:
        process.terminate()
        process.wait()


def _wait_for(dsn: str) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=2, prepare_threshold=None).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return
