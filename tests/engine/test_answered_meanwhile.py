"""A question runs out, by the database's clock; an answer that was accepted before counts, however late it is seen."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.clock import utcnow
from app.core.errors import Stale
from app.services import approvals, clients, forms, runs
from tests.engine.kit import NO_POLICY, Tenant, Worker, off_loop, wait_for, wait_for_question, wait_until
from tests.engine.test_people import NOOP, ask, chain, form, output, started, states, told, with_way
from tests.servers import TestStack

DENY = (
    "UPDATE approvals SET state = 'denied',"
    """ rule = rule || '{"decided": [{"name": "Approver"}], "answer": "No."}' WHERE run_id = %s"""
)
ANSWER = """UPDATE forms SET state = 'answered', answer = '{"department": "Legal", "seats": 2}' WHERE run_id = %s"""


def run_out(stack: TestStack, table: str, run_id: UUID) -> None:
    """Let the deadline have passed, which the engine has not seen yet."""
    with psycopg.connect(stack.superuser_dsn) as link:
        link.execute(f"UPDATE {table} SET deadline = now() - interval '1 second' WHERE run_id = %s", (run_id,))


def answered_at_the_last_moment(stack: TestStack, run_id: UUID, answer: str) -> None:
    """An answer that was accepted before the engine has closed the question, and is committed while it does."""
    with psycopg.connect(stack.superuser_dsn) as link, psycopg.connect(stack.superuser_dsn, autocommit=True) as other:
        link.execute(answer, (run_id,))
        other.execute("UPDATE run_queue SET ready_at = now() WHERE run_id = %s", (run_id,))
        until_somebody_waits(stack, link)


def until_somebody_waits(stack: TestStack, link: psycopg.Connection[Any]) -> None:
    """Return when another session waits for what ``link`` has locked."""
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
    here = (link.info.backend_pid,)
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as other:
        wait_until(lambda: other.execute(blocked, here).fetchone() == (1,), 30, "somebody to wait for the lock")


async def open_question(tenant: Tenant, run_id: UUID) -> Any:
    return await wait_for_question(tenant.engineer, run_id, node="ask")


async def test_a_denial_at_the_last_moment_is_no_silence(web: TestStack, runner: Worker) -> None:
    """Neither a timeout nor, where silence is a yes, an approval."""
    node = ask(deadline_hours=1, on_deadline="approve")
    tenant, run = await started(with_way(chain("Denied", node, NOOP), "denied"))
    await clients.update_policy(tenant.owner, policy={**NO_POLICY, "silence_may_approve": True})
    run_out(web, "approvals", run.id)
    await off_loop(answered_at_the_last_moment, web, run.id, DENY)
    run = await wait_for(tenant.engineer, run.id)
    assert [found.state for found in run.approvals] == ["denied"]
    assert output(run) == {"approved": False, "by": ["Approver"], "reason": "No."}
    assert states(run) == {"ask": "succeeded", "after": "skipped", "late": "succeeded"}
    assert await told(tenant.owner, "approval_expired") == []
    assert "walk_failed" not in runner.log.read_text(), "it is no fault"


async def test_a_form_filled_in_at_the_last_moment_is_filled_in(web: TestStack, runner: Worker) -> None:
    tenant, run = await started(with_way(chain("Filled in", form(deadline_hours=1), NOOP), "timeout"))
    run_out(web, "forms", run.id)
    await off_loop(answered_at_the_last_moment, web, run.id, ANSWER)
    run = await wait_for(tenant.engineer, run.id)
    assert [found.state for found in run.forms] == ["answered"]
    assert states(run) == {"ask": "succeeded", "after": "succeeded", "late": "skipped"}


@pytest.mark.parametrize("wrong", [timedelta(hours=2), timedelta(hours=-2)], ids=["ahead", "behind"])
async def test_who_is_late_is_said_by_the_database(
    web: TestStack, runner: Worker, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    """The clock of the host that takes the answer is hours wrong."""
    tenant, run = await started(chain("Late", ask(deadline_hours=1), NOOP))
    asked = await open_question(tenant, run.id)
    late = wrong < timedelta()
    if late:
        run_out(web, "approvals", run.id)
    monkeypatch.setattr(approvals, "utcnow", lambda: utcnow() + wrong, raising=False)
    assert (await approvals.get(tenant.approver, asked.id)).may_decide is not late
    deciding = approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    if late:
        with pytest.raises(Stale) as refused:
            await deciding
        assert refused.value.code == "approval_closed"
    else:
        assert (await deciding).state == "approved"


@pytest.mark.parametrize("wrong", [timedelta(hours=2), timedelta(hours=-2)], ids=["ahead", "behind"])
async def test_who_fills_in_late_is_said_by_the_database(
    web: TestStack, runner: Worker, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    tenant, run = await started(chain("Late", form(deadline_hours=1), NOOP))
    (asked,) = (await runs.get(tenant.engineer, run.id)).forms
    late = wrong < timedelta()
    if late:
        run_out(web, "forms", run.id)
    monkeypatch.setattr(forms, "utcnow", lambda: utcnow() + wrong, raising=False)
    answering = forms.answer(tenant.engineer, asked.id, answer={"department": "Legal", "seats": 1})
    if late:
        with pytest.raises(Stale):
            await answering
    else:
        assert (await answering).state == "answered"


async def test_whoever_answers_waits_for_the_engine_with_nothing_in_hand(web: TestStack, runner: Worker) -> None:
    """The engine has the run's place in the queue locked and goes on to what it asks: nobody waits for ever."""
    tenant, run = await started(chain("Order", ask(), NOOP))
    asked = await open_question(tenant, run.id)
    with psycopg.connect(web.superuser_dsn) as engine:
        engine.execute("SELECT FROM run_queue WHERE run_id = %s FOR SHARE", (run.id,))
        deciding = asyncio.create_task(
            approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
        )
        await off_loop(until_somebody_waits, web, engine)
        engine.execute("SELECT FROM approvals WHERE run_id = %s FOR UPDATE NOWAIT", (run.id,))
    assert (await deciding).state == "approved"
