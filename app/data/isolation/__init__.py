"""Proof that clients are kept apart, on the running system: ``opsloom prove isolation`` and the tests use it alike."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from app.data.isolation.catalogue import Connection, read
from app.data.isolation.probes import Prober
from app.data.isolation.report import Failure, Report
from app.data.isolation.rules import judge, judge_roles

__all__ = ["Failure", "Report", "prove", "prove_as", "prove_rules"]


async def prove(dsns: Mapping[str, str]) -> Report:
    """Check the catalogue and try to cross between two made-up clients as each login; nothing is kept.

    ``dsns`` maps login roles (``opsloom_web``, ``opsloom_worker``, ...) to their addresses. Takes about two seconds a
    login. Raises psycopg.Error where a login cannot connect.
    """
    report = Report()
    for number, (who, dsn) in enumerate(dsns.items()):
        async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None) as connection:
            if number == 0:
                report.merge(await prove_rules(connection))
            report.merge(await prove_as(connection, who))
            await connection.rollback()
            report.merge(await _nothing_stays(connection, who))
    return report


async def prove_rules(connection: Connection) -> Report:
    """Check tables, policies, grants, functions, keys and roles as the catalogue has them."""
    report = judge(await read(connection))
    report.merge(await judge_roles(connection))
    return report


async def prove_as(connection: Connection, who: str) -> Report:
    """Try everything as ``who``, whom ``connection`` is signed in as. The caller rolls back."""
    return await Prober(connection, await read(connection), who).run()


async def _nothing_stays(connection: Connection, who: str) -> Report:
    """What the next user of a pooled connection finds: no client, no row."""
    report = Report()
    cursor = await connection.execute("SELECT count(*) FROM public.clients")
    row = await cursor.fetchone()
    report.check(row == (0,), f"{who}: a connection carries its client over to the next transaction", leak=True)
    await connection.rollback()
    return report
