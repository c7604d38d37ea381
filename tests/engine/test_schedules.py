"""Schedules fire once a due time: late, twice at once, by two schedulers, by one that is killed in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.core.context import Context
from app.core.errors import Forbidden, Invalid, Missing, Stale
from app.services import accounts, clients, runs, triggers, workflows
from app.services.start_documents import NotPublished
from app.services.triggers import Change
from app.services.triggers.due import fire_schedule
from app.services.triggers.keeping import serve
from tests.engine.kit import NO_POLICY, Tenant, make_tenant, wait_for, wait_for_question
from tests.engine.triggers import (
    NOOP,
    Schedulers,
    count_of,
    firings_of,
    flow_of,
    make_due,
    minutes_ago,
    move_due,
    runs_of,
    scheduled,
)
from tests.servers import TestStack

Json = dict[str, Any]


@pytest.fixture
def schedulers(web: TestStack, tmp_path: Path) -> Iterator[Schedulers]:
    found = Schedulers(web, tmp_path)
    yield found
    found.close()


@pytest.fixture
async def tenant(web: TestStack) -> Tenant:
    return await make_tenant(NO_POLICY)


@pytest.fixture(scope="module")
async def shared(web: TestStack) -> Tenant:
    """One for tests that store nothing."""
    return await make_tenant(NO_POLICY)


async def test_a_due_schedule_starts_one_run(web: TestStack, tenant: Tenant, runner, schedulers: Schedulers) -> None:
    made = await scheduled(tenant, await flow_of(tenant), inputs={"word": "{{ payload.due }}", "n": 2})
    due = make_due(web, made)
    schedulers.start()
    (firing,) = await firings_of(tenant, made.id, bool)
    assert (firing.outcome, firing.due) == ("started", due)
    assert firing.run is not None
    run = await wait_for(tenant.engineer, firing.run)
    assert (run.state, run.mode, run.started_by) == ("succeeded", "apply", "Engineer")
    assert run.inputs == {"word": due.isoformat(), "n": 2}
    view = await triggers.get(tenant.engineer, made.id)
    assert (view.state, view.last_firing.run) == ("ok", firing.run)
    assert view.next[0] > due


async def test_looked_at_by_many_at_once_it_fires_once(web: TestStack, tenant: Tenant) -> None:
    made = await scheduled(tenant, await flow_of(tenant))
    make_due(web, made)
    fired = await asyncio.gather(*(fire_schedule(tenant.client_id, made.id) for _ in range(8)))
    assert sorted(fired)[:7] == [0] * 7
    assert runs_of(web, made.id) == 1


async def test_two_schedulers_and_one_that_is_killed_start_each_time_once(
    web: TestStack, schedulers: Schedulers
) -> None:
    """Five clients' schedules of which ten times each were missed; the leader is killed while it makes up for them."""
    tenants = [await make_tenant(NO_POLICY) for _ in range(5)]
    config = {"catch_up": "all", "catch_up_limit": 10, "overlap": "allow"}
    made = [await scheduled(each, await flow_of(each), "* * * * *", config=config) for each in tenants]
    await asyncio.to_thread(schedulers.start)
    await asyncio.to_thread(schedulers.start)
    for each in made:
        move_due(web, each.id, minutes_ago(9))
    await firings_of(tenants[0], made[0].id, bool)
    leader = count_of(web, "SELECT count(*) FROM leaderships WHERE expires_at > now()")
    assert leader == 1
    schedulers.started[0].kill()
    for tenant, trigger in zip(tenants, made, strict=True):
        await firings_of(tenant, trigger.id, lambda found: len(found) >= 10, 40)
    assert await asyncio.to_thread(schedulers.started[1].end) == 0
    for trigger in made:
        started = count_of(
            web, "SELECT count(*) FROM trigger_firings WHERE trigger_id = %s AND outcome = 'started'", trigger.id
        )
        distinct = count_of(web, "SELECT count(DISTINCT due) FROM trigger_firings WHERE trigger_id = %s", trigger.id)
        assert runs_of(web, trigger.id) == started == distinct


async def test_killed_between_starting_and_committing_nothing_is_lost_or_doubled(
    web: TestStack, tenant: Tenant
) -> None:
    """The connection ends when the run has been written and before the transaction is over."""
    made = await scheduled(tenant, await flow_of(tenant))
    make_due(web, made)
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                     " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$")  # fmt: skip
        link.execute("CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON trigger_firings DEFERRABLE INITIALLY DEFERRED"
                     " FOR EACH ROW EXECUTE FUNCTION cut()")  # fmt: skip
        try:
            with pytest.raises(Exception, match="connection"):
                await fire_schedule(tenant.client_id, made.id)
            assert runs_of(web, made.id) == 0
        finally:
            link.execute("DROP FUNCTION cut() CASCADE")
    assert await fire_schedule(tenant.client_id, made.id) == 1
    assert await fire_schedule(tenant.client_id, made.id) == 0
    assert runs_of(web, made.id) == 1


@pytest.mark.parametrize(("catch_up", "started", "missed"), [("skip", 0, 4), ("one", 1, 3), ("all", 2, 2)])
async def test_what_was_missed(web: TestStack, tenant: Tenant, catch_up: str, started: int, missed: int) -> None:
    config = {"catch_up": catch_up, "catch_up_limit": 2, "overlap": "allow"}
    last = minutes_ago(10)
    made = await scheduled(tenant, await flow_of(tenant), f"{last.minute} * * * *", config=config)
    move_due(web, made.id, last - timedelta(hours=3))
    await fire_schedule(tenant.client_id, made.id)
    found = await triggers.firings(tenant.engineer, made.id)
    assert [each.outcome for each in found].count("started") == started
    (skipped,) = [each for each in found if each.outcome == "skipped"]
    assert (skipped.why["code"], skipped.why["count"]) == ("missed", missed)
    assert (await triggers.get(tenant.engineer, made.id)).next[0] > minutes_ago(0)


async def test_one_after_the_other_each_missed_time_is_made_up_for(web: TestStack, tenant: Tenant, runner) -> None:
    """As many as are asked for, though none may start while the last one goes on."""
    last = minutes_ago(10)
    made = await scheduled(
        tenant, await flow_of(tenant), f"{last.minute} * * * *", config={"catch_up": "all", "catch_up_limit": 3}
    )
    move_due(web, made.id, last - timedelta(hours=4))
    for number in range(1, 4):
        assert await fire_schedule(tenant.client_id, made.id) > 0
        found = await triggers.firings(tenant.engineer, made.id)
        assert [each.outcome for each in found].count("started") == number
        assert found[0].run is not None
        await wait_for(tenant.engineer, found[0].run)
        with psycopg.connect(web.superuser_dsn, autocommit=True) as link:  # time to look again
            link.execute("UPDATE triggers SET next_at = now() WHERE id = %s AND next_due < now()", [made.id])
    started = [each for each in found if each.outcome == "started"]
    assert [each.due for each in started] == [last - timedelta(hours=hours) for hours in range(3)]
    (skipped,) = [each for each in found if each.outcome == "skipped"]
    assert (skipped.why["code"], skipped.why["count"]) == ("missed", 2)
    assert (await triggers.get(tenant.engineer, made.id)).next[0] > minutes_ago(0)


async def test_the_next_start_waits_for_the_last_unless_told_otherwise(web: TestStack, tenant: Tenant) -> None:
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?", "roles": ["approver"]}}
    flow = await flow_of(tenant, ask)
    for overlap, outcomes in (("skip", ["skipped", "started"]), ("allow", ["started", "started"])):
        made = await scheduled(tenant, flow, config={"overlap": overlap})
        first = await triggers.fire_now(tenant.engineer, made.id)
        make_due(web, made)
        await fire_schedule(tenant.client_id, made.id)
        found = await triggers.firings(tenant.engineer, made.id)
        assert [each.outcome for each in found] == outcomes
        assert found[0].why == ({"code": "still_running", "run": str(first.run)} if overlap == "skip" else None)


async def test_the_coming_times_are_shown_with_their_spread(web: TestStack, tenant: Tenant) -> None:
    made = await scheduled(tenant, await flow_of(tenant), "0 0 * * *", config={"jitter_s": 3600})
    with psycopg.connect(web.superuser_dsn) as link:
        kept = link.execute("SELECT next_due, next_at FROM triggers WHERE id = %s", (made.id,)).fetchone()
    assert kept
    due, at = kept
    assert made.next[0] == at
    assert timedelta(0) <= at - due <= timedelta(hours=1)
    found = await triggers.preview(tenant.engineer, cron="0 0 * * *", jitter_s=3600, count=5, seed=made.id)
    assert tuple(found.times) == made.next
    plain = await triggers.preview(tenant.engineer, cron="0 0 * * *", count=5)
    assert {each.hour for each in plain.times} == {0}
    assert len({each.minute for each in found.times}) > 1


async def test_one_that_never_comes_is_refused_before_it_is_stored(tenant: Tenant) -> None:
    flow = await flow_of(tenant)
    for config, field in (({"cron": "0 0 30 2 *"}, "cron"), ({"cron": "1 2"}, "cron"),
                          ({"cron": "0 0 * * *", "zone": "Mars/Olympus"}, "zone")):  # fmt: skip
        with pytest.raises(Invalid) as refused:
            await triggers.create(
                tenant.engineer, name="never", kind="schedule", workflow=flow, inputs={"word": "x"}, config=config
            )
        assert refused.value.problems[0].field == field
    assert await triggers.list_triggers(tenant.engineer) == []


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"name": ""}, "missing_param", "name"),
        ({"name": "x" * 101}, "too_long", "name"),
        ({"kind": "moon"}, "invalid", "kind"),
        ({"mode": "both"}, "invalid", "mode"),
        ({"inputs": {}}, "inputs_invalid", "inputs.word"),
        ({"inputs": {"word": "a", "sword": 1}}, "inputs_invalid", "inputs.sword"),
        ({"inputs": {"word": 1}}, "inputs_invalid", "inputs.word"),
        ({"inputs": {"word": "{{ payload. }}"}}, "inputs_invalid", "inputs.word"),
        ({"inputs": {"word": "{{ steps.a.output }}"}}, "inputs_invalid", "inputs.word"),
        ({"inputs": {"word": "a" * 300_000}}, "invalid", "inputs"),
        ({"watch": True}, "invalid", "mode"),
        ({"config": {"cron": "0 0 * * *", "catch_up": "some"}}, "invalid", "config.catch_up"),
        ({"config": {"cron": "0 0 * * *", "catch_up_limit": 101}}, "invalid", "config.catch_up_limit"),
        ({"config": {"cron": "*/5 * * * *", "jitter_s": 400}}, "jitter_wrong", "jitter_s"),
        ({"config": {"corn": "0 0 * * *"}}, "invalid", "config.cron"),
    ],
)
async def test_what_is_wrong_is_named(shared: Tenant, change: Json, code: str, field: str) -> None:
    asked: Json = {
        "name": "t", "kind": "schedule", "workflow": await flow_of(shared), "mode": "apply", "inputs": {"word": "x"},
        "config": {"cron": "0 0 * * *"}, **change,
    }  # fmt: skip
    with pytest.raises(Invalid) as refused:
        await triggers.create(shared.engineer, **asked)
    assert refused.value.code == code
    assert field in {problem.field for problem in refused.value.problems}


async def test_an_unpublished_workflow_and_a_version_that_is_not_there(tenant: Tenant) -> None:
    document = {"schema": "opsloom/workflow@1", "name": "d", "nodes": [NOOP]}
    draft = await workflows.create(tenant.engineer, name="draft", document=document)
    with pytest.raises(NotPublished):
        await scheduled(tenant, draft.id, inputs={})
    with pytest.raises(Missing):
        await scheduled(tenant, await flow_of(tenant), version=7)


async def test_a_pinned_version_stays_and_the_published_one_moves_on(web: TestStack, tenant: Tenant) -> None:
    flow = await flow_of(tenant)
    pinned, moving = await scheduled(tenant, flow, version=1), await scheduled(tenant, flow)
    name = (await workflows.get(tenant.engineer, flow)).name
    document = (await workflows.get(tenant.engineer, flow)).draft
    await workflows.import_document(
        tenant.engineer, document={**document, "name": name, "nodes": [NOOP, {"id": "b", "type": "flow.noop"}],
                                   "edges": [{"source": "a", "target": "b"}]},
    )  # fmt: skip
    versions = []
    for trigger in (pinned, moving):
        firing = await triggers.fire_now(tenant.engineer, trigger.id)
        assert firing.run is not None
        versions.append((await runs.get(tenant.engineer, firing.run)).version)
    assert versions == [1, 2]


async def fired(web: TestStack, tenant: Tenant, trigger: Any) -> Any:
    make_due(web, trigger)
    await fire_schedule(tenant.client_id, trigger.id)
    return (await triggers.firings(tenant.engineer, trigger.id))[0]


async def test_whoever_lost_the_permission_starts_nothing_more(web: TestStack, tenant: Tenant) -> None:
    made = await scheduled(tenant, await flow_of(tenant))
    setup = clients.system_context("setup", tenant.client_id, tenant.owner.client_slug)
    await accounts.grant(setup, email=tenant.engineer.actor.email, role="viewer")
    firing = await fired(web, tenant, made)
    assert (firing.outcome, firing.why["code"], firing.why["permission"]) == ("refused", "permission_lost", "run.start")
    view = await triggers.get(tenant.owner, made.id)
    assert (view.enabled, view.state, view.stopped["code"], view.next) == (False, "stopped", "permission_lost", ())
    assert runs_of(web, made.id) == 0
    with pytest.raises(Forbidden):
        await triggers.switch(await fresh(tenant.engineer), made.id, on=True)
    again = await triggers.switch(tenant.owner, made.id, on=True)
    assert (again.state, again.on_behalf_of) == ("refused", "Owner")
    other = minutes_ago(2)
    await triggers.update(tenant.owner, made.id, Change(config={"cron": f"{other.minute} {other.hour} * * *"}))
    assert (await fired(web, tenant, await triggers.get(tenant.owner, made.id))).outcome == "started"


async def fresh(ctx: Context) -> Context:
    return await clients.enter(ctx.actor, ctx.client_slug)


async def test_whoever_may_only_plan_can_switch_on_plans_only(tenant: Tenant) -> None:
    made = await scheduled(tenant, await flow_of(tenant), enabled=False)
    setup = clients.system_context("setup", tenant.client_id, tenant.owner.client_slug)
    planner = Context(
        tenant.client_id, tenant.owner.client_slug, tenant.approver.actor, "approver",
        tenant.approver.permissions | {"trigger.write"},
    )  # fmt: skip
    with pytest.raises(Forbidden):
        await triggers.switch(planner, made.id, on=True)
    with pytest.raises(Invalid) as refused:
        await triggers.switch(setup, made.id, on=True)
    assert refused.value.code == "needs_person"
    assert (await triggers.update(planner, made.id, Change(mode="plan"))).mode == "plan"
    assert (await triggers.switch(planner, made.id, on=True)).enabled


async def test_a_change_goes_on_in_the_name_of_whoever_made_it(tenant: Tenant) -> None:
    made = await scheduled(tenant, await flow_of(tenant))
    changed = await triggers.update(tenant.owner, made.id, Change(inputs={"word": "y"}, revision=made.revision))
    assert (changed.on_behalf_of, changed.revision) == ("Owner", 2)
    with pytest.raises(Stale):
        await triggers.update(tenant.engineer, made.id, Change(name="late", revision=1))


async def test_authors_and_the_starter_cannot_approve(web: TestStack, runner) -> None:
    """The owner wrote it, the engineer switched it on; neither may say yes to what it asks for."""
    tenant = await make_tenant({"rules": []})
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "May it?", "roles": ["owner", "approver"]}}
    flow = await flow_of(tenant, ask)
    asked = {"name": "asks", "mode": "apply", "inputs": {"word": "x"}, "enabled": False}
    made = await triggers.create(tenant.owner, kind="schedule", workflow=flow, config={"cron": "0 4 * * *"}, **asked)
    await triggers.switch(tenant.engineer, made.id, on=True)
    firing = await fired(web, tenant, made)
    question = await wait_for_question(tenant.approver, firing.run)
    by_owner = (await runs.get(tenant.owner, firing.run)).approvals[0]
    assert (by_owner.may_decide, by_owner.why_not) == (False, "author")
    by_engineer = (await runs.get(tenant.engineer, firing.run)).approvals[0]
    assert (by_engineer.may_decide, by_engineer.why_not) == (False, "own")
    assert question.may_decide


async def test_switched_off_it_does_not_fire_and_nothing_is_made_up_for(web: TestStack, tenant: Tenant) -> None:
    made = await scheduled(tenant, await flow_of(tenant))
    off = await triggers.switch(tenant.engineer, made.id, on=False)
    assert (off.state, off.next) == ("off", ())
    assert await fire_schedule(tenant.client_id, made.id) == 0
    on = await triggers.switch(tenant.engineer, made.id, on=True)
    assert on.next[0] > minutes_ago(0)
    await triggers.remove(tenant.engineer, made.id)
    with pytest.raises(Missing):
        await triggers.get(tenant.engineer, made.id)
    await scheduled(tenant, await flow_of(tenant), name=made.name)


@pytest.mark.parametrize(
    "change",
    [
        Change(name="Another name"),
        Change(inputs={"word": "y"}),
        Change(config={"catch_up": "all"}),
        Change(config={"jitter_s": 30}),
        None,
    ],
)
async def test_a_time_that_has_come_is_not_forgotten_over_a_change(
    web: TestStack, tenant: Tenant, change: Change | None
) -> None:
    """Its spread may be an hour, and the scheduler away for longer: changed or switched on once more meanwhile, it
    starts all the same."""
    made = await scheduled(tenant, await flow_of(tenant))
    due = make_due(web, made)
    if change is None:
        await triggers.switch(tenant.engineer, made.id, on=True)
    else:
        config = {**made.config, **change.config} if change.config else None
        await triggers.update(tenant.engineer, made.id, replace(change, config=config))
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:  # its spread has gone by
        link.execute("UPDATE triggers SET next_at = least(next_at, now()) WHERE id = %s", [made.id])
    assert await fire_schedule(tenant.client_id, made.id) == 1
    (firing,) = await triggers.firings(tenant.engineer, made.id)
    assert (firing.due, firing.outcome) == (due, "started")


async def test_another_time_begins_anew(web: TestStack, tenant: Tenant) -> None:
    made = await scheduled(tenant, await flow_of(tenant))
    make_due(web, made)
    later = minutes_ago(-120)
    config = {**made.config, "cron": f"{later.minute} {later.hour} * * *"}
    view = await triggers.update(tenant.engineer, made.id, Change(config=config))
    assert view.next[0] == later
    assert await fire_schedule(tenant.client_id, made.id) == 0


async def test_by_hand_it_starts_for_whoever_asks_once_a_key(web: TestStack, tenant: Tenant) -> None:
    made = await scheduled(tenant, await flow_of(tenant), enabled=False)
    first = await triggers.fire_now(tenant.owner, made.id, idempotency_key="k")
    assert await triggers.fire_now(tenant.owner, made.id, idempotency_key="k") == first
    assert first.run is not None
    assert (await runs.get(tenant.owner, first.run)).started_by == "Owner"
    with pytest.raises(Forbidden):
        await triggers.fire_now(tenant.approver, made.id)


async def test_inputs_that_no_longer_fit_are_refused_and_the_schedule_goes_on(web: TestStack, tenant: Tenant) -> None:
    made = await scheduled(tenant, await flow_of(tenant), inputs={"word": "{{ payload.missing }}"})
    firing = await fired(web, tenant, made)
    assert (firing.outcome, firing.why["code"]) == ("refused", "payload_unfit")
    assert firing.why["errors"][0]["field"] == "inputs.word"
    view = await triggers.get(tenant.engineer, made.id)
    assert (view.enabled, view.state) == (True, "refused")


async def test_a_fault_with_one_does_not_hold_up_another(web: TestStack, tenant: Tenant) -> None:
    broken, sound = [await scheduled(tenant, await flow_of(tenant)) for _ in range(2)]
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE triggers SET config = '{}' WHERE id = %s", (broken.id,))
    for each in (broken, sound):
        make_due(web, each)
    assert not await serve([(tenant.client_id, broken.id), (tenant.client_id, sound.id)], 5)
    assert (runs_of(web, broken.id), runs_of(web, sound.id)) == (0, 1)
    assert not await serve([(tenant.client_id, broken.id)], 5)
    put_off = "SELECT count(*) FROM triggers WHERE id = %s AND next_at > now() AND next_due < now()"
    assert count_of(web, put_off, broken.id) == 1
