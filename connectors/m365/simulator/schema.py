"""Which properties of users and groups the simulator knows, and what may be done with each.

The names and their behaviour follow the reference pages of Microsoft Graph v1.0. What the SDK's model has and this
table lacks is answered with 501, what the SDK's model lacks as Graph answers an unknown property.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

EXTENSIONS = tuple(f"extensionAttribute{number}" for number in range(1, 16))


@dataclass(frozen=True)
class Resource:
    """A kind of object: its model, what it gives unasked, what when selected, what may be written and filtered.

    ``filters`` maps a property to the operators Graph has for it, ``advanced`` those that also need
    ``ConsistencyLevel: eventual`` and ``$count=true``.
    """

    name: str
    model: str
    default: tuple[str, ...]
    selectable: frozenset[str]
    writable: frozenset[str]
    filters: dict[str, frozenset[str]]
    advanced: dict[str, frozenset[str]]
    searchable: frozenset[str]
    sortable: frozenset[str]


def _ops(*pairs: tuple[str, str]) -> dict[str, frozenset[str]]:
    return {name: frozenset(operators.split()) for names, operators in pairs for name in names.split()}


USER_DEFAULT = (
    "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
    "preferredLanguage", "surname", "userPrincipalName",
)  # fmt: skip

USER_WRITABLE = frozenset((
    "accountEnabled", "businessPhones", "city", "companyName", "country", "department", "displayName", "employeeId",
    "employeeType", "faxNumber", "givenName", "jobTitle", "mailNickname", "mobilePhone", "officeLocation",
    "onPremisesExtensionAttributes", "otherMails", "passwordPolicies", "passwordProfile", "postalCode",
    "preferredLanguage", "state", "streetAddress", "surname", "usageLocation", "userPrincipalName", "userType",
))  # fmt: skip

USER_READ_ONLY = frozenset((
    "assignedLicenses", "createdDateTime", "creationType", "deletedDateTime", "id", "lastPasswordChangeDateTime",
    "licenseAssignmentStates", "mail", "onPremisesSyncEnabled", "proxyAddresses", "signInSessionsValidFromDateTime",
))  # fmt: skip

USER = Resource(
    name="user",
    model="user:User",
    default=USER_DEFAULT,
    selectable=USER_WRITABLE | USER_READ_ONLY,
    writable=USER_WRITABLE,
    filters=_ops(
        ("displayName givenName surname mail mailNickname userPrincipalName jobTitle", "eq in startswith"),
        ("department country city employeeId state usageLocation preferredLanguage", "eq in startswith"),
        ("id", "eq in"),
        ("accountEnabled userType", "eq in"),
        ("assignedLicenses proxyAddresses otherMails", "any"),
    ),
    advanced=_ops(
        ("displayName givenName surname mailNickname jobTitle department", "ne"),
        ("mail userPrincipalName", "ne endswith"),
        ("companyName officeLocation mobilePhone", "eq ne in startswith"),
        (" ".join(f"onPremisesExtensionAttributes/{name}" for name in EXTENSIONS), "eq ne in startswith"),
        ("accountEnabled userType usageLocation", "ne"),
    ),
    searchable=frozenset(("displayName", "mail", "userPrincipalName", "givenName", "surname", "mailNickname")),
    sortable=frozenset(("displayName", "userPrincipalName")),
)

GROUP_DEFAULT = (
    "classification", "createdDateTime", "deletedDateTime", "description", "displayName", "groupTypes", "id",
    "isAssignableToRole", "mail", "mailEnabled", "mailNickname", "membershipRule", "membershipRuleProcessingState",
    "onPremisesSyncEnabled", "proxyAddresses", "securityEnabled", "visibility",
)  # fmt: skip

GROUP = Resource(
    name="group",
    model="group:Group",
    default=GROUP_DEFAULT,
    selectable=frozenset((*GROUP_DEFAULT, "assignedLicenses", "hasMembersWithLicenseErrors")),
    writable=frozenset(),
    filters=_ops(
        ("displayName mail mailNickname", "eq in startswith"),
        ("id", "eq in"),
        ("mailEnabled securityEnabled onPremisesSyncEnabled isAssignableToRole", "eq"),
        ("groupTypes assignedLicenses proxyAddresses", "any"),
    ),
    advanced=_ops(("displayName mail mailNickname visibility description", "ne eq")),
    searchable=frozenset(("displayName", "description", "mail")),
    sortable=frozenset(("displayName",)),
)

SKU_FIELDS = (
    "accountId", "accountName", "appliesTo", "capabilityStatus", "consumedUnits", "id", "prepaidUnits", "servicePlans",
    "skuId", "skuPartNumber", "subscriptionIds",
)  # fmt: skip

SKU = Resource(
    "subscribedSku", "subscribed_sku:SubscribedSku", SKU_FIELDS, frozenset(SKU_FIELDS),
    frozenset(), {}, {}, frozenset(), frozenset(),
)  # fmt: skip

ORGANIZATION_FIELDS = (
    "businessPhones", "city", "countryLetterCode", "createdDateTime", "defaultUsageLocation", "displayName", "id",
    "preferredLanguage", "tenantType", "verifiedDomains",
)  # fmt: skip

ORGANIZATION = Resource(
    "organization", "organization:Organization", ORGANIZATION_FIELDS, frozenset(ORGANIZATION_FIELDS),
    frozenset(), {}, {}, frozenset(), frozenset(),
)  # fmt: skip

LICENCE_FIELDS = ("id", "servicePlans", "skuId", "skuPartNumber")

LICENCE_DETAILS = Resource(
    "licenseDetails", "license_details:LicenseDetails", LICENCE_FIELDS, frozenset(LICENCE_FIELDS),
    frozenset(), {}, {}, frozenset(), frozenset(),
)  # fmt: skip
