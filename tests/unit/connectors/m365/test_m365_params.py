"""Parameters and configuration: what is taken, what is refused, and how blank cells are read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from connectors.m365.actions import ACTIONS
from connectors.m365.config import M365Config

GUID = "11111111-1111-4111-8111-111111111111"
PARAMS: dict[str, Any] = {kind.id: kind.Params for kind in ACTIONS}


def config(**given: str) -> BaseModel:
    return M365Config(**{"tenant_id": GUID, "client_id": GUID, "client_secret": "long-enough", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize("tenant", [GUID, "contoso.com", "contoso.onmicrosoft.com"])
def test_a_tenant_is_an_id_or_a_domain(tenant: str) -> None:
    assert config(tenant_id=tenant)


@pytest.mark.parametrize(
    "tenant", ["", "contoso", "contoso.com/x", "a@b.com", "../evil", "contoso.com?x=1", "https://evil.example", "a..b"]
)
def test_a_tenant_is_nothing_else(tenant: str) -> None:
    with pytest.raises(ValidationError):
        config(tenant_id=tenant)


def test_a_blank_cell_says_nothing() -> None:
    given = {"user_principal_name": " a@b.example ", "display_name": "A", "usage_location": "fr", "department": "  "}
    params = PARAMS["m365.user.create"](**given)
    assert (params.user_principal_name, params.usage_location, params.department) == ("a@b.example", "FR", None)


@pytest.mark.parametrize(
    ("action", "given", "field"),
    [
        ("m365.user.create", {"user_principal_name": "nobody", "display_name": "A", "usage_location": "FR"},
         "user_principal_name"),
        ("m365.user.create", {"user_principal_name": "a@b.c", "display_name": "A", "usage_location": "France"},
         "usage_location"),
        ("m365.user.create", {"user_principal_name": "a@b.c", "display_name": "A", "usage_location": "FR", "xy": 1},
         "xy"),
        ("m365.user.update", {"user": "a@b.c"}, "display_name"),
        ("m365.user.update", {"user": "a@b.c", "city": "Paris", "clear": ["city"]}, "clear"),
        ("m365.user.update", {"user": "a@b.c", "clear": ["usage_location"]}, "clear"),
        ("m365.licence.remove", {"user": "a@b.c"}, "licences"),
        ("m365.licence.remove", {"user": "a@b.c", "all": True, "licences": ["E3"]}, "licences"),
        ("m365.licence.assign", {"user": "a@b.c", "licences": []}, "licences"),
        ("m365.group.remove_member", {"user": "a@b.c"}, "groups"),
        ("m365.group.add_member", {"user": "", "groups": ["x"]}, "user"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(action: str, given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PARAMS[action](**given)
    assert field in str(refused.value)
