"""A worker that dies, answers that are lost, a tenant that others change too."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from connectors.base import Applied, Attempt, Done
from connectors.errors import Conflict, NotFound, OutcomeUnknown, Rejected, Retryable, Throttled
from connectors.testing import new_attempt
from tests.contract.m365.conftest import ANNA, GRACE, LIAM, Office

RENEE = {"user_principal_name": "renee@contoso.com", "display_name": "Renée", "usage_location": "US"}


def attempt(key: str, seconds: float = 30.0) -> Attempt:
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    return Attempt(key, 1, deadline, {"password": SecretStr("Tr1cky-enough")})


async def lost_creation(office: Office, key: str) -> Applied | None:
    """Create with the answer lost, then look what became of it."""
    action = office.action("m365.user.create")
    change = (await office.plan("m365.user.create", **RENEE)).change
    office.control.fault("drop", writes=True)
    with pytest.raises(OutcomeUnknown):
        await action.apply(office.client, action.Params(**RENEE), change, attempt(key))
    return await action.recover(office.client, action.Params(**RENEE), change, attempt(key))


async def test_an_account_with_our_key_is_adopted(office: Office) -> None:
    found = await lost_creation(office, "key-1")
    assert found is not None
    assert found.adopted
    assert found.output["marker"] == "opsloom:key-1"
    assert len([one for one in office.control.writes() if one["changed"]]) == 1


async def test_an_account_of_somebody_else_is_not(office: Office) -> None:
    action = office.action("m365.user.create")
    change = (await office.plan("m365.user.create", **RENEE)).change
    await office.apply("m365.user.create", change, key="theirs", **RENEE)
    with pytest.raises(OutcomeUnknown) as unknown:
        await action.recover(office.client, action.Params(**RENEE), change, attempt("ours"))
    assert unknown.value.details == {"marker": "opsloom:theirs"}
    with pytest.raises(Conflict) as conflict:
        await action.apply(office.client, action.Params(**RENEE), change, attempt("ours"))
    assert conflict.value.field == "user_principal_name"


async def test_an_account_that_reads_do_not_show_yet_is_not_made_twice(office: Office) -> None:
    """The creation was done, reads lag: recover sees nothing, the second try is refused by its name, then adopted."""
    office.control.fault("delay", writes=True, seconds=1.0)
    assert await lost_creation(office, "key-1") is None
    action = office.action("m365.user.create")
    change = (await office.plan("m365.user.create", **RENEE)).change
    assert change.kind == "create"
    applied = await action.apply(office.client, action.Params(**RENEE), change, attempt("key-1"))
    assert applied.adopted
    assert [one["changed"] for one in office.control.writes()] == [True, False]


async def test_a_read_that_fails_after_the_write_does_not_undo_it(office: Office) -> None:
    change = (await office.plan("m365.user.disable", user=ANNA)).change
    office.control.fault("delay", writes=True, seconds=0.5)
    office.control.fault("throttle", writes=False, times=6, every=2, retry_after=1)
    applied = await office.apply("m365.user.disable", change, user=ANNA)
    assert applied.change == change
    assert len(office.control.writes()) == 1


async def test_a_change_that_never_shows_is_an_unknown_outcome(office: Office) -> None:
    action = office.action("m365.user.disable")
    change = (await office.plan("m365.user.disable", user=ANNA)).change
    office.control.fault("delay", writes=True, seconds=60)
    with pytest.raises(OutcomeUnknown, match="accepted"):
        await action.apply(office.client, action.Params(user=ANNA), change, attempt("key", seconds=4))


async def test_no_write_is_sent_after_the_deadline(office: Office) -> None:
    action = office.action("m365.user.disable")
    change = (await office.plan("m365.user.disable", user=ANNA)).change
    with pytest.raises(Retryable):
        await action.apply(office.client, action.Params(user=ANNA), change, attempt("key", seconds=-1))
    assert office.control.writes() == []


async def test_a_write_without_an_answer_ends_at_the_deadline(office: Office) -> None:
    action = office.action("m365.user.disable")
    change = (await office.plan("m365.user.disable", user=ANNA)).change
    office.control.fault("timeout", writes=True, seconds=60)
    started = asyncio.get_running_loop().time()
    with pytest.raises(OutcomeUnknown):
        await action.apply(office.client, action.Params(user=ANNA), change, attempt("key", seconds=2))
    assert asyncio.get_running_loop().time() - started < 5
    found = await action.recover(office.client, action.Params(user=ANNA), change, attempt("key"))
    assert found is not None
    assert found.adopted


async def test_the_first_of_several_writes_may_be_throttled(office: Office) -> None:
    change = (await office.plan("m365.group.add_member", user=LIAM, groups=["Engineering", "Finance"])).change
    office.control.fault("throttle", writes=True, retry_after=9)
    with pytest.raises(Throttled) as throttled:
        await office.apply("m365.group.add_member", change, user=LIAM, groups=["Engineering", "Finance"])
    assert throttled.value.retry_after == 9


async def test_throttling_between_several_writes_is_waited_out(office: Office) -> None:
    groups = ["Engineering", "Finance"]
    change = (await office.plan("m365.group.add_member", user=LIAM, groups=groups)).change
    office.control.fault("throttle", writes=True, every=2, retry_after=1)
    applied = await office.apply("m365.group.add_member", change, user=LIAM, groups=groups)
    assert applied.change == change


async def test_a_part_that_was_done_is_finished(office: Office) -> None:
    params = {"user": GRACE, "all": True}
    action = office.action("m365.group.remove_member")
    before = office.dump()
    change = (await office.plan("m365.group.remove_member", **params)).change
    office.control.fault("drop", writes=True, every=2)
    tried = new_attempt(action)
    with pytest.raises(OutcomeUnknown):
        await action.apply(office.client, action.Params(**params), change, tried)
    assert await action.recover(office.client, action.Params(**params), change, tried) is None
    applied = await action.apply(office.client, action.Params(**params), change, replace(tried, number=2))
    assert applied.change == change
    assert sorted(one["display_name"] for one in applied.output["changed"]) == ["All Staff", "Finance", "Reporting"]
    await office.undo("m365.group.remove_member", Done(params, applied.change, applied.output))
    assert office.dump() == before


async def test_revoked_sessions_are_found_revoked(office: Office) -> None:
    action = office.action("m365.user.revoke_sessions")
    change = (await office.plan("m365.user.revoke_sessions", user=ANNA)).change
    office.control.fault("drop", writes=True)
    with pytest.raises(OutcomeUnknown):
        await office.apply("m365.user.revoke_sessions", change, user=ANNA)
    found = await action.recover(office.client, action.Params(user=ANNA), change, attempt("key"))
    assert found is not None
    assert found.output["sessions_valid_from"] > (change.before or {})["sessions_valid_from"]


class TestDrift:
    """The tenant was changed between a step and its undo."""

    async def test_a_field_that_was_changed_since_is_shown(self, office: Office) -> None:
        done = await office.do("m365.user.update", user=LIAM, department="Finance")
        await office.do("m365.user.update", user=LIAM, department="Legal")
        planned = await office.action("m365.user.update").plan_undo(office.client, done)
        assert planned.drift == {"department": {"expected": "Finance", "found": "Legal"}}
        assert planned.change.after == {"department": "Sales"}

    async def test_what_was_given_to_a_new_account_is_shown_before_it_is_deleted(self, office: Office) -> None:
        done = await office.do("m365.user.create", **RENEE)
        await office.do("m365.licence.assign", user="renee@contoso.com", licences=["FLOW_FREE"])
        await office.do("m365.group.add_member", user="renee@contoso.com", groups=["Sales"])
        planned = await office.action("m365.user.create").plan_undo(office.client, done)
        assert planned.drift is not None
        assert planned.drift["groups"]["found"] == ["Sales"]
        assert len(planned.drift["licences"]["found"]) == 1

    async def test_an_account_without_our_mark_is_left_alone(self, office: Office) -> None:
        done = await office.do("m365.user.create", **RENEE)
        users = office.running.simulator.tenant("contoso").users
        users.put(done.output["id"], {**(users.get(done.output["id"]) or {}), "onPremisesExtensionAttributes": {}})
        with pytest.raises(Rejected) as refused:
            await office.action("m365.user.create").plan_undo(office.client, done)
        assert refused.value.code == "not_ours"

    async def test_nothing_is_left_to_undo_when_it_is_already_so(self, office: Office) -> None:
        done = await office.do("m365.group.add_member", user=LIAM, groups=["Finance"])
        await office.do("m365.group.remove_member", user=LIAM, groups=["Finance"])
        planned = await office.action("m365.group.add_member").plan_undo(office.client, done)
        assert (planned.change.kind, planned.drift) == ("none", None)

    async def test_the_user_is_gone(self, office: Office) -> None:
        added = await office.do("m365.group.add_member", user=LIAM, groups=["Finance"])
        removed = await office.do("m365.licence.remove", user=LIAM, all=True)
        await office.do("m365.user.delete", user=LIAM)
        planned = await office.action("m365.group.add_member").plan_undo(office.client, added)
        assert planned.change.kind == "none"
        with pytest.raises(NotFound):
            await office.action("m365.licence.remove").plan_undo(office.client, removed)

    async def test_a_licence_cannot_come_back_without_a_seat(self, office: Office) -> None:
        done = await office.do("m365.licence.remove", user=ANNA, licences=["VISIOCLIENT"])
        await office.do("m365.licence.assign", user=LIAM, licences=["VISIOCLIENT"])
        with pytest.raises(Rejected) as refused:
            await office.action("m365.licence.remove").plan_undo(office.client, done)
        assert refused.value.code == "no_seat"

    async def test_an_account_that_left_the_recycle_bin_stays_gone(self, office: Office) -> None:
        done = await office.do("m365.user.delete", user=LIAM)
        tenant = office.running.simulator.tenant("contoso")
        tenant.deleted.put(done.output["id"], None)
        with pytest.raises(NotFound, match="recycle bin"):
            await office.action("m365.user.delete").plan_undo(office.client, done)

    async def test_a_deleted_account_whose_seat_was_taken_is_shown(self, office: Office) -> None:
        done = await office.do("m365.user.delete", user=ANNA)
        await office.do("m365.licence.assign", user=LIAM, licences=["VISIOCLIENT"])
        planned = await office.action("m365.user.delete").plan_undo(office.client, done)
        assert planned.drift == {
            "licences": {"expected": ["ENTERPRISEPACK", "VISIOCLIENT"], "found": ["ENTERPRISEPACK"]}
        }
        attempt = new_attempt(office.action("m365.user.delete"))
        applied = await office.action("m365.user.delete").undo(office.client, done, planned.change, attempt)
        assert (applied.change.after or {})["licences"] == ["ENTERPRISEPACK"]
