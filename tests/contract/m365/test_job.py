"""The job, as the engine does it: planned as a whole in one world, applied step by step, undone in reverse."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from connectors.base import Change, Done, World
from connectors.errors import NotFound, Rejected
from connectors.testing import new_attempt
from tests.contract.m365.conftest import ANNA, GRACE, LIAM, Office, config_for, open_client

Steps = list[tuple[str, dict[str, Any]]]


def onboarding(upn: str, country: str) -> Steps:
    return [
        ("m365.user.create",
         {"user_principal_name": upn, "display_name": "Zoé L'Hôte", "usage_location": country, "department": "Ventes"}),
        ("m365.licence.assign", {"user": upn, "licences": ["ENTERPRISEPACK"]}),
        ("m365.group.add_member", {"user": upn, "groups": ["All Staff", "Engineering"]}),
    ]  # fmt: skip


def suspension(upn: str) -> Steps:
    return [
        ("m365.user.revoke_sessions", {"user": upn}),
        ("m365.user.disable", {"user": upn}),
        ("m365.licence.remove", {"user": upn, "all": True}),
        ("m365.group.remove_member", {"user": upn, "all": True}),
    ]


async def plan_all(office: Office, steps: Steps) -> list[Change]:
    world, changes = World(), []
    for action_id, params in steps:
        planned = await office.plan(action_id, world, **params)
        world.record(planned.change)
        changes.append(planned.change)
    return changes


def sealed(change: Change) -> Any:
    shown = change.model_dump(include={"kind", "target", "before", "after", "reversible"})
    for side in ("before", "after"):
        shown[side] = {n: v for n, v in (shown[side] or {}).items() if n not in change.volatile}
    return shown


async def run_all(office: Office, steps: Steps, changes: list[Change]) -> list[tuple[str, Done]]:
    """Each step planned again just before its write, as the engine does, and held against what was planned at first."""
    done = []
    for (action_id, params), sealed_change in zip(steps, changes, strict=True):
        change = (await office.plan(action_id, **params)).change
        assert sealed(change) == sealed(sealed_change)
        applied = await office.apply(action_id, change, **params)
        done.append((action_id, Done(params, applied.change, applied.output)))
    return done


async def undo_all(office: Office, done: list[tuple[str, Done]]) -> None:
    """Planned as a whole in one world, then step by step, each held against what was planned."""
    back = [(office.action(action_id), one) for action_id, one in reversed(done)]
    back = [(action, one) for action, one in back if action.reversible]
    world, planned = World(), []
    for action, one in back:
        undo = await action.plan_undo(office.client, one, world)
        assert undo.drift is None
        world.record(undo.change)
        planned.append(undo.change)
    for (action, one), change in zip(back, planned, strict=True):
        now = (await action.plan_undo(office.client, one)).change
        assert sealed(now) == sealed(change)
        await action.undo(office.client, one, now, new_attempt(action))


@pytest.mark.parametrize(
    ("slug", "upn", "country"),
    [("contoso", "zoe.l'hote@contoso.com", "US"), ("fabrikam", "zoe.l'hote@fabrikam.fr", "FR")],
)
async def test_onboarding_unedited_for_either_client(office: Office, slug: str, upn: str, country: str) -> None:
    client = open_client(office.running, config_for(office.running.simulator, slug))
    there = Office(client, office.control, office.running, slug)
    before, whole = there.dump(), there.dump(whole=True)
    steps = onboarding(upn, country)
    changes = await plan_all(there, steps)
    assert [change.kind for change in changes] == ["create", "update", "update"]
    assert there.control.writes() == []
    done = await run_all(there, steps, changes)
    assert there.users()[upn]["$licences"] == {"6fd2c87f-b296-42f0-b197-1e91e994b900": []}
    await undo_all(there, done)
    assert there.dump() == before
    left = there.dump(whole=True)
    (deleted,) = left["deleted"].values()
    assert deleted["$principal"] == upn, "the recycle bin holds the one account that the plan spoke of"
    assert {**left, "deleted": whole["deleted"], "moments": whole["moments"]} == whole
    await client.aclose()


@pytest.mark.parametrize("upn", [ANNA, LIAM, GRACE])
async def test_suspension_and_its_undo(office: Office, upn: str) -> None:
    before = office.dump()
    steps = suspension(upn)
    done = await run_all(office, steps, await plan_all(office, steps))
    suspended = office.users()[upn]
    assert suspended["accountEnabled"] is False
    assert suspended["$licences"] == {}
    await undo_all(office, done)
    after = office.dump()
    for user in (*before["users"].values(), *after["users"].values()):
        user.pop("signInSessionsValidFromDateTime")
    assert after == before


async def test_an_offboarding_that_ends_with_deletion_is_undone_whole(office: Office) -> None:
    before = office.dump()
    steps = [*suspension(LIAM), ("m365.user.update", {"user": LIAM, "clear": ["job_title"]}),
             ("m365.user.delete", {"user": LIAM})]  # fmt: skip
    done = await run_all(office, steps, await plan_all(office, steps))
    assert LIAM not in office.users()
    await undo_all(office, done)
    after = office.dump()
    for user in (*before["users"].values(), *after["users"].values()):
        user.pop("signInSessionsValidFromDateTime")
    assert after == before


async def test_a_seat_that_the_undo_frees_first_can_be_given_back(office: Office) -> None:
    before = office.dump()
    steps = [("m365.licence.remove", {"user": ANNA, "licences": ["VISIOCLIENT"]}),
             ("m365.licence.assign", {"user": LIAM, "licences": ["VISIOCLIENT"]})]  # fmt: skip
    await undo_all(office, await run_all(office, steps, await plan_all(office, steps)))
    assert office.dump() == before


async def test_what_was_made_and_deleted_in_one_run_is_gone_after_its_undo(office: Office) -> None:
    before = office.dump()
    made = onboarding("zoe@contoso.com", "US")[:1]
    steps = [*made, ("m365.user.delete", {"user": "zoe@contoso.com"})]
    await undo_all(office, await run_all(office, steps, await plan_all(office, steps)))
    assert office.dump() == before


async def test_what_cannot_be_left_is_named(office: Office) -> None:
    planned = await office.plan("m365.group.remove_member", user="bjorn.asplund@contoso.com", all=True)
    assert planned.change.after == {"All Staff": False, "Engineering": False}
    assert planned.change.note is not None
    assert "VPN Users (it is mastered on-premises)" in planned.change.note.en
    assert "VPN Users (il est géré sur site)" in planned.change.note.fr


async def test_a_licence_from_a_group_is_kept_and_named(office: Office) -> None:
    planned = await office.plan("m365.licence.remove", user=GRACE, all=True)
    assert planned.change.after == {"ENTERPRISEPACK": False}
    assert planned.change.note is not None
    assert "POWER_BI_STANDARD" in planned.change.note.en
    again = await office.plan("m365.licence.assign", user=GRACE, licences=["POWER_BI_STANDARD"])
    assert again.change.kind == "none"


async def test_service_plans_that_were_off_come_back_off(office: Office) -> None:
    simulator = office.running.simulator
    mei = office.users()["mei.chen@contoso.com"]
    stored = simulator.tenant("contoso").users.get(mei["id"])
    assert stored is not None
    stored["$licences"]["6fd2c87f-b296-42f0-b197-1e91e994b900"] = ["7547a3fe-08ee-4ccb-b430-5077c5041653"]
    simulator.tenant("contoso").users.put(mei["id"], stored)
    before = office.dump()
    done = await office.do("m365.licence.remove", user="mei.chen@contoso.com", all=True)
    assert done.change.before is not None
    assert done.change.before["ENTERPRISEPACK.disabled_plans"] == ["YAMMER_ENTERPRISE"]
    await office.undo("m365.licence.remove", done)
    assert office.dump() == before


async def test_no_seat_left_is_planned_as_a_refusal(office: Office) -> None:
    with pytest.raises(Rejected) as refused:
        await office.plan("m365.licence.assign", user=LIAM, licences=["VISIOCLIENT"])
    assert (refused.value.field, refused.value.code) == ("licences", "no_seat")
    assert "Visio Plan 2" in refused.value.message


async def test_seats_that_earlier_steps_take_and_give_are_counted(office: Office) -> None:
    simulator = office.running.simulator
    simulator.tenant("contoso").skus[3]["enabled"] = 3
    world = World()
    first = await office.plan("m365.licence.assign", world, user=LIAM, licences=["VISIOCLIENT"])
    world.record(first.change)
    with pytest.raises(Rejected, match="Visio Plan 2"):
        await office.plan("m365.licence.assign", world, user=GRACE, licences=["VISIOCLIENT"])
    world.record((await office.plan("m365.licence.remove", world, user=ANNA, licences=["VISIOCLIENT"])).change)
    assert (await office.plan("m365.licence.assign", world, user=GRACE, licences=["VISIOCLIENT"])).change.writes


async def test_a_user_that_an_earlier_step_deletes_is_gone_for_later_ones(office: Office) -> None:
    world = World()
    world.record((await office.plan("m365.user.delete", world, user=LIAM)).change)
    with pytest.raises(NotFound) as refused:
        await office.plan("m365.user.disable", world, user=LIAM)
    assert refused.value.field == "user"


@pytest.mark.parametrize(
    ("params", "field", "word"),
    [
        ({"user_principal_name": "josé@contoso.com"}, "user_principal_name", "accents"),
        ({"user_principal_name": "jose@elsewhere.example"}, "user_principal_name", "contoso.com"),
        ({"mail_nickname": "a b"}, "mail_nickname", "alias"),
    ],
)
async def test_a_name_that_entra_would_refuse(office: Office, params: dict[str, str], field: str, word: str) -> None:
    asked = {"user_principal_name": "jose@contoso.com", "display_name": "José", "usage_location": "US", **params}
    with pytest.raises(Rejected) as refused:
        await office.plan("m365.user.create", **asked)
    assert refused.value.field == field
    assert word in refused.value.message


async def test_somebody_who_exists_is_planned_as_the_difference(office: Office) -> None:
    same = {"user_principal_name": ANNA.upper(), "display_name": "Anna Berg", "usage_location": "US"}
    assert (await office.plan("m365.user.create", **same)).change.kind == "none"
    moved = await office.plan("m365.user.create", **same, department="Finance")
    assert (moved.change.kind, moved.change.before, moved.change.after) == (
        "update", {"department": "Management"}, {"department": "Finance"},
    )  # fmt: skip
    assert moved.output["created"] is False


async def test_two_groups_of_one_name_must_be_told_apart(office: Office) -> None:
    tenant = office.running.simulator.tenant("contoso")
    key, sales = next((k, g) for k, g in tenant.groups.present() if g["displayName"] == "Sales")
    twin = str(uuid.uuid4())
    tenant.groups.put(twin, {**sales, "id": twin, "$members": []})
    with pytest.raises(Rejected) as refused:
        await office.plan("m365.group.add_member", user=GRACE, groups=["Sales"])
    assert (refused.value.field, refused.value.code) == ("groups", "ambiguous")
    assert key in refused.value.message
    before = office.dump()
    done = await office.do("m365.group.add_member", user=GRACE, groups=[key, twin])
    assert sorted(done.change.after or {}) == sorted([f"Sales ({key})", f"Sales ({twin})"])
    again = await office.plan("m365.group.remove_member", user=GRACE, groups=[twin])
    assert again.change.writes
    await office.undo("m365.group.add_member", done)
    assert office.dump() == before
