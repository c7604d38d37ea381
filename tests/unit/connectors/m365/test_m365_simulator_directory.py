"""What a tenant accepts, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.m365.simulator.directory import Directory
from connectors.m365.simulator.errors import GraphError
from connectors.m365.simulator.seed import tenant_of
from connectors.m365.simulator.state import Tenant

E3, VISIO, BI = (
    "6fd2c87f-b296-42f0-b197-1e91e994b900",
    "c5928f49-12ba-48f7-ada3-0d743a3601d5",
    "a403ebcc-fae0-4ca2-8c8c-7a907fd6c235",
)
ANNA, BEN = "anna@x.example", "ben@x.example"
NEW = {
    "accountEnabled": True,
    "displayName": "New",
    "mailNickname": "new",
    "userPrincipalName": "new@x.example",
    "passwordProfile": {"password": "Tr1cky-enough"},
}


@pytest.fixture
def tenant() -> Tenant:
    return tenant_of(
        {
            "slug": "x",
            "displayName": "X",
            "domains": [{"name": "x.example", "isDefault": True}],
            "skus": [
                {"name": "E3", "skuId": E3, "seats": 1, "plans": [{"name": "EXCHANGE_S"}]},
                {"name": "VISIO", "skuId": VISIO, "seats": 1},
                {"name": "BI", "skuId": BI, "seats": 1},
            ],
            "users": [
                {"userPrincipalName": ANNA, "displayName": "Anna", "usageLocation": "FR", "licences": ["VISIO"]},
                {"userPrincipalName": BEN, "displayName": "Ben", "mail": None, "proxyAddresses": []},
                {"userPrincipalName": "synced@x.example", "displayName": "S", "onPremisesSyncEnabled": True},
            ],
            "groups": [
                {"displayName": "Plain", "members": [ANNA]},
                {"displayName": "Licensed", "licences": ["BI"]},
                {"displayName": "Rule", "groupTypes": ["DynamicMembership"]},
                {"displayName": "List", "mailEnabled": True},
                {"displayName": "Synced", "onPremisesSyncEnabled": True},
            ],
        }
    )


@pytest.fixture
def directory(tenant: Tenant) -> Directory:
    return Directory(tenant)


def group_id(tenant: Tenant, name: str) -> str:
    return next(key for key, group in tenant.groups.present() if group["displayName"] == name)


def refused(code: str = "Request_BadRequest") -> Any:
    return pytest.raises(GraphError, check=lambda error: error.code == code)


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({"userPrincipalName": "new@elsewhere.example"}, "userPrincipalName"),
        ({"userPrincipalName": "josé@x.example"}, "userPrincipalName"),
        ({"userPrincipalName": ANNA.upper()}, "userPrincipalName"),
        ({"userPrincipalName": None}, "userPrincipalName"),
        ({"displayName": ""}, "displayName"),
        ({"mailNickname": "a b"}, "mailNickname"),
        ({"usageLocation": "France"}, "usageLocation"),
        ({"department": "x" * 65}, "department"),
        ({"passwordProfile": {"password": "short1A"}}, "password"),
        ({"passwordProfile": {"password": "alllowercase"}}, "password"),
        ({"passwordProfile": {"password": "My-new-pass1"}}, "password"),
        ({"passwordProfile": {"password": ""}}, "passwordProfile"),
    ],
)
def test_a_user_that_entra_would_refuse(
    directory: Directory, tenant: Tenant, given: dict[str, Any], target: str
) -> None:
    before = tenant.dump()
    with refused() as caught:
        directory.create_user({**NEW, **given})
    assert caught.value.details[0]["target"] == target
    assert tenant.dump() == before


def test_only_the_digest_of_a_password_is_kept(directory: Directory, tenant: Tenant) -> None:
    directory.create_user(NEW)
    assert "Tr1cky-enough" not in str(tenant.as_json())


def test_a_name_is_free_again_once_deleted(directory: Directory) -> None:
    directory.delete_user(directory.create_user(NEW)["id"])
    directory.create_user(NEW)


def test_restoring_brings_back_groups_and_licences(directory: Directory, tenant: Tenant) -> None:
    before = tenant.dump()
    anna = directory.find_user(ANNA)
    directory.delete_user(anna["id"])
    assert directory.free_seats(VISIO) == 1
    assert tenant.dump() != before
    directory.restore_user(anna["id"])
    assert tenant.dump() == before


def test_restoring_needs_the_name(directory: Directory) -> None:
    first = directory.create_user(NEW)
    directory.delete_user(first["id"])
    directory.create_user(NEW)
    with refused():
        directory.restore_user(first["id"])


def test_restoring_leaves_out_a_licence_whose_seat_is_gone(directory: Directory) -> None:
    anna = directory.find_user(ANNA)
    directory.delete_user(anna["id"])
    directory.update_user(BEN, {"usageLocation": "FR"})
    directory.assign_licences(BEN, [{"skuId": VISIO}], [])
    assert directory.restore_user(anna["id"])["$licences"] == {}


def test_licences_need_a_usage_location_and_a_seat(directory: Directory) -> None:
    with refused():
        directory.assign_licences(BEN, [{"skuId": E3}], [])
    directory.update_user(BEN, {"usageLocation": "FR"})
    with refused():
        directory.assign_licences(BEN, [{"skuId": VISIO}], [])
    directory.assign_licences(BEN, [{"skuId": E3}], [])
    assert directory.free_seats(E3) == 0


def test_a_removed_seat_can_be_taken_in_the_same_call(directory: Directory) -> None:
    user = directory.assign_licences(ANNA, [{"skuId": E3}], [VISIO])
    assert list(user["$licences"]) == [E3]


@pytest.mark.parametrize("call", [([{"skuId": BI.replace("a", "b")}], []), ([], [E3]),
                                  ([{"skuId": E3, "disabledPlans": [VISIO]}], [])])  # fmt: skip
def test_licences_that_are_not_there(directory: Directory, call: Any) -> None:
    with refused():
        directory.assign_licences(ANNA, *call)


def test_a_licence_through_a_group_comes_and_goes_with_it(directory: Directory, tenant: Tenant) -> None:
    licensed, anna = group_id(tenant, "Licensed"), directory.find_user(ANNA)["id"]
    directory.add_member(licensed, anna)
    assert set(directory.effective(directory.find_user(ANNA))) == {VISIO, BI}
    with refused():
        directory.assign_licences(ANNA, [], [BI])
    ben = directory.find_user(BEN)["id"]
    directory.add_member(licensed, ben)
    assert directory.find_user(BEN)["$inherited"][licensed] == {BI: "CountViolation"}
    directory.remove_member(licensed, anna)
    assert set(directory.effective(directory.find_user(ANNA))) == {VISIO}


@pytest.mark.parametrize("name", ["Rule", "List", "Synced"])
def test_groups_that_graph_does_not_change(directory: Directory, tenant: Tenant, name: str) -> None:
    with refused():
        directory.add_member(group_id(tenant, name), directory.find_user(ANNA)["id"])


def test_memberships_are_added_and_removed_once(directory: Directory, tenant: Tenant) -> None:
    plain, anna = group_id(tenant, "Plain"), directory.find_user(ANNA)["id"]
    with refused():
        directory.add_member(plain, anna)
    directory.remove_member(plain, anna)
    with refused("Request_ResourceNotFound"):
        directory.remove_member(plain, anna)


def test_a_synced_account_is_mastered_elsewhere(directory: Directory) -> None:
    with refused():
        directory.update_user("synced@x.example", {"department": "IT"})
    directory.update_user("synced@x.example", {"usageLocation": "FR"})


@pytest.mark.parametrize("act", ["update_user", "delete_user", "revoke_sessions", "assign_licences"])
def test_nobody(directory: Directory, act: str) -> None:
    more = {"update_user": ({"city": "Paris"},), "assign_licences": ([], [])}.get(act, ())
    with refused("Request_ResourceNotFound"):
        getattr(directory, act)("nobody@x.example", *more)
