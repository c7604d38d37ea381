"""Words, parameters and outputs that several actions share."""

from __future__ import annotations

from typing import Any

from connectors.base import Json, Output, Text, choices, param
from connectors.m365.directory import Person

CATEGORY = "directory"
USER_CHOICES = choices("m365.user.list", value="user_principal_name", label="display_name", detail="detail")
GROUP_CHOICES = choices("m365.group.list", value="display_name", label="display_name", detail="detail", many=True)
LICENCE_CHOICES = choices("m365.licence.list", value="sku_part_number", label="name", detail="detail", many=True)

RECYCLE_BIN = Text(
    "A deleted account stays in the tenant's recycle bin for 30 days, then it is gone for good.",
    "Un compte supprimé reste 30 jours dans la corbeille du tenant, puis disparaît définitivement.",
)


def user_param() -> Any:
    """The parameter that names a user."""
    return param(
        "User",
        "Utilisateur",
        help_en="Sign-in name (user principal name) or id.",
        help_fr="Nom de connexion (nom d’utilisateur principal) ou identifiant.",
        live=USER_CHOICES,
        placeholder="anna@contoso.com",
        min_length=1,
        max_length=320,
    )


class UserOutput(Output):
    """One user, as steps on it give it."""

    id: str
    user_principal_name: str
    display_name: str
    account_enabled: bool


def user_output(person: Person | None, fields: Json) -> Json:
    """The fields of :class:`UserOutput`; without an id while the user is only planned."""
    known: Json = {name: fields.get(name) for name in ("user_principal_name", "display_name")}
    known["account_enabled"] = bool(fields.get("account_enabled"))
    return {"id": person.id, **known} if person else known
