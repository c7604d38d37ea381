"""Tenants out of fixtures, and the two that the demonstration uses."""

from __future__ import annotations

import json
import secrets
import uuid
from pathlib import Path
from typing import Any

from connectors.m365.simulator.permissions import EVERYTHING
from connectors.m365.simulator.state import Application, Json, Tenant, digest

FIXTURES = Path(__file__).parent / "fixtures"
DEMO = ("contoso", "fabrikam")
# Ids in a fixture are names; each becomes the same id at every start.
NAMESPACE = uuid.UUID("6f1c0a56-5e0c-4b6e-9b57-8f0f6d8d6d10")


class BadFixture(ValueError):
    """The fixture is not what a tenant is made of."""


def stable_id(*names: str) -> str:
    return str(uuid.uuid5(NAMESPACE, "/".join(names).lower()))


def demo_fixture(slug: str) -> Json:
    """The fixture of a demo tenant."""
    data: Json = json.loads((FIXTURES / f"{slug}.json").read_text(encoding="utf-8"))
    return data


def tenant_of(fixture: Json) -> Tenant:
    """A tenant as ``fixture`` describes it. Raises :class:`BadFixture` naming what is missing."""
    try:
        return _build(fixture)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadFixture(f"the fixture lacks or misplaces {error}") from error


def _build(fixture: Json) -> Tenant:
    slug = fixture["slug"]
    tenant = Tenant(
        id=fixture.get("id") or stable_id(slug),
        slug=slug,
        display_name=fixture["displayName"],
        country=fixture.get("country", "US"),
        created=fixture.get("createdDateTime", "2021-03-01T08:00:00Z"),
        domains=fixture["domains"],
        skus=[_sku(one) for one in fixture["skus"]],
    )
    for one in fixture["users"]:
        user = _user(tenant, one)
        tenant.users.put(user["id"], user)
    for one in fixture["groups"]:
        _add_group(tenant, one)
    for one in fixture.get("apps", []):
        add_app(tenant, one["clientId"], one["clientSecret"], one.get("roles"))
    return tenant


def _sku(one: Json) -> Json:
    plans = [{"servicePlanId": p.get("id") or stable_id("plan", p["name"]), "servicePlanName": p["name"]}
             for p in one.get("plans", [])]  # fmt: skip
    return {"skuId": one["skuId"], "skuPartNumber": one["name"], "enabled": one["seats"], "servicePlans": plans}


def _user(tenant: Tenant, one: Json) -> Json:
    upn = one["userPrincipalName"]
    skus = {sku["skuPartNumber"]: sku["skuId"] for sku in tenant.skus}
    user: Json = {
        "id": one.get("id") or stable_id(tenant.slug, upn),
        "accountEnabled": True,
        "businessPhones": [],
        "otherMails": [],
        "mail": upn,
        "mailNickname": upn.partition("@")[0],
        "proxyAddresses": [f"SMTP:{upn}"],
        "userType": "Member",
        "createdDateTime": tenant.created,
        "lastPasswordChangeDateTime": tenant.created,
        "signInSessionsValidFromDateTime": tenant.created,
        "$licences": {skus[name]: [] for name in one.get("licences", [])},
        "$inherited": {},
        "$password": {"salt": "", "digest": ""},
        "$forceChange": False,
    }
    user.update({name: value for name, value in one.items() if name not in ("licences", "id")})
    return user


def _add_group(tenant: Tenant, one: Json) -> None:
    ids = {user["userPrincipalName"].lower(): key for key, user in tenant.users.present()}
    skus = {sku["skuPartNumber"]: sku["skuId"] for sku in tenant.skus}
    members = sorted(ids[upn.lower()] for upn in one.get("members", []))
    group: Json = {
        "id": one.get("id") or stable_id(tenant.slug, "group", one["displayName"]),
        "createdDateTime": tenant.created,
        "groupTypes": [],
        "mailEnabled": False,
        "securityEnabled": True,
        "proxyAddresses": [],
        "mailNickname": one["displayName"].replace(" ", ""),
        "$members": members,
        "$licences": [skus[name] for name in one.get("licences", [])],
    }
    group.update({name: value for name, value in one.items() if name not in ("members", "licences", "id")})
    tenant.groups.put(group["id"], group)
    for user_id in members if group["$licences"] else ():
        user = tenant.users.get(user_id)
        assert user is not None
        user["$inherited"][group["id"]] = dict.fromkeys(group["$licences"], "Active")
        tenant.users.put(user_id, user)


def add_app(tenant: Tenant, client_id: str, secret: str, roles: Any = None) -> None:
    """Register an application with consent, or give the one there a new secret."""
    tenant.apps[client_id] = Application(client_id, digest(secret), sorted(roles or EVERYTHING))


def new_credentials() -> tuple[str, str]:
    return str(uuid.uuid4()), secrets.token_urlsafe(30)
