"""Objects of the directory as Graph shows them."""

from __future__ import annotations

from typing import Any

from connectors.m365.simulator.directory import Directory
from connectors.m365.simulator.schema import EXTENSIONS, GROUP, USER
from connectors.m365.simulator.state import Tenant

Json = dict[str, Any]

ALL_PLANS_ON: list[str] = []


def user(tenant: Tenant, stored: Json) -> Json:
    """Every property of a user; those never set are null."""
    licences = Directory(tenant).effective(stored)
    shown: Json = dict.fromkeys(sorted(USER.selectable))
    shown.update({name: value for name, value in stored.items() if not name.startswith("$")})
    if not shown["mail"] and Directory(tenant).has_mailbox(stored):
        shown["mail"] = stored["userPrincipalName"]
        shown["proxyAddresses"] = [f"SMTP:{stored['userPrincipalName']}"]
    shown["assignedLicenses"] = [{"skuId": s, "disabledPlans": plans} for s, plans in sorted(licences.items())]
    shown["licenseAssignmentStates"] = _assignment_states(stored)
    attributes = stored.get("onPremisesExtensionAttributes", {})
    shown["onPremisesExtensionAttributes"] = {name: attributes.get(name) for name in EXTENSIONS}
    shown["passwordProfile"] = None
    return shown


def _assignment_states(stored: Json) -> list[Json]:
    direct = [
        {"skuId": sku, "assignedByGroup": None, "disabledPlans": plans, "state": "Active", "error": "None"}
        for sku, plans in sorted(stored["$licences"].items())
    ]
    through = [
        {
            "skuId": sku,
            "assignedByGroup": group,
            "disabledPlans": ALL_PLANS_ON,
            "state": "Active" if state == "Active" else "Error",
            "error": "None" if state == "Active" else state,
        }
        for group, states in sorted(stored["$inherited"].items())
        for sku, state in sorted(states.items())
    ]
    return direct + through


def group(stored: Json) -> Json:
    shown: Json = dict.fromkeys(sorted(GROUP.selectable))
    shown.update({name: value for name, value in stored.items() if not name.startswith("$")})
    shown["assignedLicenses"] = [{"skuId": s, "disabledPlans": ALL_PLANS_ON} for s in stored.get("$licences", [])]
    return shown


def sku(tenant: Tenant, stored: Json, consumed: int) -> Json:
    return {
        "accountId": tenant.id,
        "accountName": tenant.slug,
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": consumed,
        "id": f"{tenant.id}_{stored['skuId']}",
        "prepaidUnits": {"enabled": stored["enabled"], "suspended": 0, "warning": 0, "lockedOut": 0},
        "servicePlans": _plans(stored, []),
        "skuId": stored["skuId"],
        "skuPartNumber": stored["skuPartNumber"],
        "subscriptionIds": [],
    }


def licence_details(tenant: Tenant, stored_user: Json) -> list[Json]:
    found = []
    for sku_id, disabled in sorted(Directory(tenant).effective(stored_user).items()):
        stored = tenant.sku(sku_id)
        if stored is not None:
            found.append(
                {
                    "id": f"{stored_user['id']}_{sku_id}",
                    "servicePlans": _plans(stored, disabled),
                    "skuId": sku_id,
                    "skuPartNumber": stored["skuPartNumber"],
                }
            )
    return found


def _plans(stored: Json, disabled: list[str]) -> list[Json]:
    return [
        {
            "servicePlanId": plan["servicePlanId"],
            "servicePlanName": plan["servicePlanName"],
            "provisioningStatus": "Disabled" if plan["servicePlanId"] in disabled else "Success",
            "appliesTo": "User",
        }
        for plan in stored["servicePlans"]
    ]


def organization(tenant: Tenant) -> Json:
    return {
        "businessPhones": [],
        "city": None,
        "countryLetterCode": tenant.country,
        "createdDateTime": tenant.created,
        "defaultUsageLocation": None,
        "displayName": tenant.display_name,
        "id": tenant.id,
        "preferredLanguage": None,
        "tenantType": "AAD",
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": bool(one.get("isDefault")),
                "isInitial": bool(one.get("isInitial")),
                "name": one["name"],
                "type": "Managed",
            }
            for one in tenant.domains
        ],
    }
