"""The rules of a directory: what a tenant accepts about users, licences and groups, and what follows from it."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

from connectors.m365.simulator.errors import bad_request, duplicate, not_found
from connectors.m365.simulator.state import Tenant, password_record

Json = dict[str, Any]

UPN = re.compile(r"^[A-Za-z0-9'._!#^~\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}$")
NICKNAME = re.compile(r"^[^@()\\\[\]\";:<>,\s]{1,64}$", re.ASCII)
LIMITS = {"displayName": 256, "givenName": 64, "surname": 64, "jobTitle": 128, "department": 64, "mobilePhone": 64,
          "companyName": 64, "employeeId": 16, "officeLocation": 128, "city": 128, "postalCode": 40}  # fmt: skip
REQUIRED = ("accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName")
NEVER_EMPTY = ("accountEnabled", "displayName", "mailNickname", "userPrincipalName")


def moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise_moment() -> str:
    """A moment with its fraction: two revocations within one second are still two."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Directory:
    """Operations on one tenant. What is written becomes visible to reads at ``visible_at`` (0: at once)."""

    def __init__(self, tenant: Tenant, visible_at: float = 0.0) -> None:
        self._tenant = tenant
        self._visible_at = visible_at

    # Users

    def find_user(self, key: str) -> Json:
        """The user by id or principal name, as it is. Raises not found."""
        for user_id, user in self._tenant.users.present():
            if key.lower() in (user_id, user["userPrincipalName"].lower()):
                found = self._tenant.users.get(user_id)
                assert found is not None
                return found
        raise not_found(key)

    def create_user(self, body: Json) -> Json:
        for name in REQUIRED:
            if body.get(name) in (None, "", {}):
                raise bad_request(f"A value is required for property '{name}' of resource 'User'.", target=name)
        self._check(body, None)
        if not body["passwordProfile"].get("password"):
            raise bad_request("A password must be specified to create a new user.", target="passwordProfile")
        user: Json = {"id": str(uuid.uuid4()), "businessPhones": [], "otherMails": [], "proxyAddresses": [],
                      "userType": "Member", "createdDateTime": moment(), "$licences": {}, "$inherited": {}}  # fmt: skip
        self._write_into(user, body)
        user["signInSessionsValidFromDateTime"] = user["createdDateTime"]
        self._put(user)
        return user

    def update_user(self, key: str, body: Json) -> Json:
        user = self.find_user(key)
        if user.get("onPremisesSyncEnabled") and set(body) - {"usageLocation", "passwordProfile"}:
            raise bad_request(
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects "
                "currently undergoing migration."
            )
        self._check(body, user)
        self._write_into(user, body)
        self._put(user)
        return user

    def revoke_sessions(self, key: str) -> None:
        user = self.find_user(key)
        user["signInSessionsValidFromDateTime"] = precise_moment()
        self._put(user)

    def delete_user(self, key: str) -> None:
        """Into the recycle bin: the seats are free again, the name too, and the bin remembers the groups."""
        user = self.find_user(key)
        groups = [g for g, group in self._tenant.groups.present() if user["id"] in group["$members"]]
        for group_id in groups:
            self._set_member(group_id, user["id"], present=False)
        user["$groups"] = groups
        user["deletedDateTime"] = moment()
        user["$principal"] = user["userPrincipalName"]
        user["userPrincipalName"] = user["id"].replace("-", "") + user["userPrincipalName"]
        self._tenant.users.put(user["id"], None, self._visible_at)
        self._tenant.deleted.put(user["id"], user, self._visible_at)

    def restore_user(self, user_id: str) -> Json:
        user = self._tenant.deleted.get(user_id)
        if user is None:
            raise not_found(user_id)
        user["userPrincipalName"] = user.pop("$principal")
        self._refuse_duplicate("userPrincipalName", user["userPrincipalName"], user_id)
        groups = user.pop("$groups")
        user.pop("deletedDateTime")
        user["$licences"] = {s: plans for s, plans in user["$licences"].items() if self.free_seats(s) > 0}
        user["$inherited"] = {}
        self._tenant.deleted.put(user_id, None, self._visible_at)
        self._put(user)
        for group_id in groups:
            if self._tenant.groups.get(group_id) is not None:
                self._set_member(group_id, user_id, present=True)
        return self.find_user(user_id)

    def purge_user(self, user_id: str) -> None:
        if self._tenant.deleted.get(user_id) is None:
            raise not_found(user_id)
        self._tenant.deleted.put(user_id, None, self._visible_at)

    def _put(self, user: Json) -> None:
        self._tenant.users.put(user["id"], user, self._visible_at)

    def _write_into(self, user: Json, body: Json) -> None:
        for name, value in body.items():
            if name.startswith("@odata."):
                continue
            if name == "passwordProfile":
                self._set_password(user, value)
            elif name == "onPremisesExtensionAttributes":
                kept = {**user.get(name, {}), **{n: v for n, v in value.items() if not n.startswith("@odata.")}}
                user[name] = {n: v for n, v in kept.items() if v is not None}
            else:
                user[name] = value or None if isinstance(value, str) else value

    def _set_password(self, user: Json, profile: Json) -> None:
        if profile.get("password"):
            user["$password"] = password_record(profile["password"])
            user["lastPasswordChangeDateTime"] = moment()
        user["$forceChange"] = bool(profile.get("forceChangePasswordNextSignIn", user.get("$forceChange", True)))

    def _check(self, body: Json, present: Json | None) -> None:
        """Refuse values that Entra refuses, naming the property."""
        own = present["id"] if present else None
        for name, value in body.items():
            if name in NEVER_EMPTY and value in (None, ""):
                raise bad_request(f"Invalid value specified for property '{name}' of resource 'User'.", target=name)
            if isinstance(value, str) and len(value) > LIMITS.get(name, 4096):
                raise bad_request(f"Invalid value specified for property '{name}' of resource 'User'.", target=name)
        if (upn := body.get("userPrincipalName")) is not None:
            self._check_upn(upn, own)
        if (nickname := body.get("mailNickname")) is not None and not NICKNAME.match(nickname):
            raise bad_request("Invalid value specified for property 'mailNickname' of resource 'User'.",
                              target="mailNickname")  # fmt: skip
        if (place := body.get("usageLocation")) and not re.fullmatch(r"[A-Z]{2}", place):
            raise bad_request("Invalid value specified for property 'usageLocation' of resource 'User'.",
                              target="usageLocation")  # fmt: skip
        if isinstance(profile := body.get("passwordProfile"), dict) and profile.get("password"):
            _check_password(profile["password"], (body.get("userPrincipalName") or "").partition("@")[0])

    def _check_upn(self, upn: str, own: str | None) -> None:
        name, _, domain = upn.partition("@")
        if not UPN.match(upn) or len(name) > 64 or name.endswith("."):
            raise bad_request("Invalid value specified for property 'userPrincipalName' of resource 'User'.",
                              target="userPrincipalName")  # fmt: skip
        if not self._tenant.is_verified(domain):
            raise bad_request(
                "The domain portion of the userPrincipalName property is invalid. You must use one of the verified "
                "domain names in your organization.",
                target="userPrincipalName",
                code="InvalidDomain",
            )
        self._refuse_duplicate("userPrincipalName", upn, own)

    def _refuse_duplicate(self, name: str, upn: str, own: str | None) -> None:
        wanted = upn.lower()
        for user_id, user in self._tenant.users.present():
            if user_id == own:
                continue
            if user["userPrincipalName"].lower() == wanted:
                raise duplicate(name)
            if wanted in _addresses(user):
                raise duplicate("proxyAddresses")
        for _, group in self._tenant.groups.present():
            if wanted in _addresses(group):
                raise duplicate("proxyAddresses")

    # Licences

    def effective(self, user: Json) -> dict[str, list[str]]:
        """SKU ids that the user has, directly or through a group, with the service plans that are off."""
        through = [s for states in user["$inherited"].values() for s, state in states.items() if state == "Active"]
        return {**{sku_id: [] for sku_id in through}, **user["$licences"]}

    def free_seats(self, sku_id: str) -> int:
        sku = self._tenant.sku(sku_id)
        taken = sum(sku_id in self.effective(user) for _, user in self._tenant.users.present())
        return (sku["enabled"] if sku else 0) - taken

    def assign_licences(self, key: str, add: list[Json], remove: list[str]) -> Json:
        user = self.find_user(key)
        if add and not user.get("usageLocation"):
            raise bad_request("License assignment cannot be done for user with invalid usage location.",
                              target="usageLocation")  # fmt: skip
        for sku_id in (one.lower() for one in remove):
            self._remove_licence(user, sku_id)
        for one in add:
            self._add_licence(user, one["skuId"].lower(), [plan.lower() for plan in one.get("disabledPlans") or []])
        self._put(user)
        return user

    def _remove_licence(self, user: Json, sku_id: str) -> None:
        if sku_id in user["$licences"]:
            del user["$licences"][sku_id]
            return
        if sku_id in self.effective(user):
            raise bad_request("User license is inherited from a group membership and it cannot be removed directly "
                              "from the user.")  # fmt: skip
        raise bad_request("User does not have a corresponding license.")

    def _add_licence(self, user: Json, sku_id: str, disabled: list[str]) -> None:
        sku = self._tenant.sku(sku_id)
        if sku is None:
            raise bad_request(f"License {sku_id} does not correspond to a valid company License.")
        plans = {plan["servicePlanId"] for plan in sku["servicePlans"]}
        if unknown := [plan for plan in disabled if plan not in plans]:
            raise bad_request(f"Service plan {unknown[0]} is not part of license {sku_id}.")
        if sku_id not in self.effective(user) and self.free_seats(sku_id) < 1:
            raise bad_request(f"Subscription with SKU {sku_id} does not have any available licenses.")
        user["$licences"][sku_id] = sorted(disabled)

    def has_mailbox(self, user: Json) -> bool:
        """Whether one of the user's licences brings Exchange."""
        skus = (self._tenant.sku(sku_id) for sku_id in self.effective(user))
        return any("EXCHANGE" in p["servicePlanName"] for sku in skus if sku for p in sku["servicePlans"])

    # Groups

    def find_group(self, key: str) -> Json:
        group = self._tenant.groups.get(key.lower())
        if group is None:
            raise not_found(key)
        return group

    def add_member(self, group_id: str, user_id: str) -> None:
        group = self._writable_group(group_id)
        user = self.find_user(user_id)
        if user["id"] in group["$members"]:
            raise bad_request("One or more added object references already exist for the following modified "
                              "properties: 'members'.")  # fmt: skip
        self._set_member(group["id"], user["id"], present=True)

    def remove_member(self, group_id: str, user_id: str) -> None:
        group = self._writable_group(group_id)
        if user_id.lower() not in group["$members"]:
            raise not_found(user_id)
        self._set_member(group["id"], user_id.lower(), present=False)

    def _writable_group(self, group_id: str) -> Json:
        group = self.find_group(group_id)
        if "DynamicMembership" in group["groupTypes"]:
            raise bad_request("The group has dynamic membership: its members cannot be changed.", target="members")
        if group.get("onPremisesSyncEnabled"):
            raise bad_request(
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects "
                "currently undergoing migration."
            )
        if group["mailEnabled"] and "Unified" not in group["groupTypes"]:
            raise bad_request("Cannot Update a mail-enabled security groups and or distribution list.")
        return group

    def _set_member(self, group_id: str, user_id: str, *, present: bool) -> None:
        """Change a membership, and the licences that come with it."""
        group = self.find_group(group_id)
        members = set(group["$members"]) | {user_id} if present else set(group["$members"]) - {user_id}
        group["$members"] = sorted(members)
        self._tenant.groups.put(group["id"], group, self._visible_at)
        user = self._tenant.users.get(user_id)
        if user is None or not group.get("$licences"):
            return
        user["$inherited"].pop(group["id"], None)
        if present:
            user["$inherited"][group["id"]] = {s: self._seat_for(user, s) for s in group["$licences"]}
        self._put(user)

    def _seat_for(self, user: Json, sku_id: str) -> str:
        free = sku_id in self.effective(user) or self.free_seats(sku_id) > 0
        return "Active" if free else "CountViolation"


def _addresses(entity: Json) -> set[str]:
    found = {str(one).lower().removeprefix("smtp:") for one in entity.get("proxyAddresses") or []}
    return found | ({entity["mail"].lower()} if entity.get("mail") else set())


def _check_password(password: str, name: str) -> None:
    """Entra's policy: 8 to 256 characters, three of four classes, not the user's name."""
    classes = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
    strong = sum(bool(re.search(one, password)) for one in classes) >= 3
    if not 8 <= len(password) <= 256 or not strong or (name and name.lower() in password.lower()):
        raise bad_request(
            "The specified password does not comply with password complexity requirements. Please provide a different "
            "password.",
            target="password",
            code="InvalidPassword",
        )
