"""Every writing action with small pages, throttling and reads that lag: the end is the same as on a calm day."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import Done
from tests.contract.m365.conftest import ANNA, GRACE, LIAM, Office

RENEE = {
    "user_principal_name": "renee.d'arcy@contoso.com",
    "display_name": "Renée d'Arcy",
    "department": "Engineering",
    "usage_location": "US",
}
STEPS = [
    ("m365.user.create", RENEE),
    ("m365.user.create", {**RENEE, "user_principal_name": ANNA, "display_name": "Anna Berg-Müller"}),
    ("m365.user.update", {"user": LIAM, "department": "Ventes", "clear": ["office_location"]}),
    ("m365.user.disable", {"user": LIAM}),
    ("m365.user.enable", {"user": "former.intern@contoso.com"}),
    ("m365.user.delete", {"user": GRACE}),
    ("m365.licence.assign", {"user": LIAM, "licences": ["AAD_PREMIUM", "FLOW_FREE"]}),
    ("m365.licence.remove", {"user": ANNA, "all": True}),
    ("m365.group.add_member", {"user": LIAM, "groups": ["Engineering", "Finance", "Reporting"]}),
    ("m365.group.remove_member", {"user": GRACE, "all": True}),
]


@pytest.mark.parametrize(("action_id", "params"), STEPS, ids=[f"{one}-{n}" for n, (one, _) in enumerate(STEPS)])
async def test_plan_apply_again_undo(stormy: Office, action_id: str, params: dict[str, Any]) -> None:
    before = stormy.dump()
    planned = await stormy.plan(action_id, **params)
    assert planned.change.writes
    assert stormy.control.writes() == []
    assert stormy.dump() == before
    applied = await stormy.apply(action_id, planned.change, **params)
    assert applied.change == planned.change
    assert {name: applied.output[name] for name in planned.output} == planned.output
    assert (await stormy.plan(action_id, **params)).change.kind == "none"
    await stormy.undo(action_id, Done(params, applied.change, applied.output))
    assert stormy.dump() == before
    assert any("throttle" in record["faults"] for record in stormy.control.log())


async def test_lists_are_whole(stormy: Office) -> None:
    people = await stormy.read("m365.user.list")
    assert {row.user_principal_name for row in people.items} == set(stormy.users())
    assert [row.display_name for row in people.items][:2] == ["Anna Berg", "Backup service"]
    groups = await stormy.read("m365.group.list")
    assert len(groups.items) == len(stormy.dump()["groups"])
    assert [row.display_name for row in groups.items if not row.changeable] == [
        "Everyone in the US", "Newsletter", "VPN Users",
    ]  # fmt: skip


async def test_lists_can_be_narrowed(stormy: Office) -> None:
    assert [row.display_name for row in (await stormy.read("m365.user.list", search="o'connor")).items] == [
        "Liam O'Connor"
    ]
    blocked = (await stormy.read("m365.user.list", sign_in="blocked")).items
    assert [row.display_name for row in blocked] == ["Former Intern"]
    assert len((await stormy.read("m365.user.list", limit=3)).items) == 3


async def test_a_licence_shows_its_free_seats(stormy: Office) -> None:
    rows = {row.sku_part_number: row for row in (await stormy.read("m365.licence.list")).items}
    assert (rows["VISIOCLIENT"].free, rows["VISIOCLIENT"].detail) == (0, "0 / 2")
    assert rows["ENTERPRISEPACK"].name == "Office 365 E3"
    assert rows["ENTERPRISEPACK"].taken == 10


async def test_looking_somebody_up(stormy: Office) -> None:
    grace = await stormy.read("m365.user.get", user=GRACE)
    assert grace.licences == ["ENTERPRISEPACK", "POWER_BI_STANDARD"]
    assert grace.groups == ["All Staff", "Finance", "Reporting"]
