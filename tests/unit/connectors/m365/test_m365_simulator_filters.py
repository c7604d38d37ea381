"""``$filter`` as directory objects answer to it."""

from __future__ import annotations

import pytest

from connectors.m365.simulator.errors import GraphError
from connectors.m365.simulator.filters import parse
from connectors.m365.simulator.schema import GROUP, USER

LIAM = {
    "displayName": "Liam O'Connor",
    "userPrincipalName": "liam.o'connor@contoso.com",
    "department": "Sales",
    "accountEnabled": True,
    "assignedLicenses": [{"skuId": "6fd2c87f-b296-42f0-b197-1e91e994b900"}],
    "proxyAddresses": ["SMTP:liam@contoso.com"],
    "onPremisesExtensionAttributes": {"extensionAttribute15": "opsloom:1"},
}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("displayName eq 'Liam O''Connor'", True),
        ("displayName eq 'liam o''connor'", True),
        ("displayName eq 'Liam'", False),
        ("startswith(displayName,'liam')", True),
        ("startsWith(displayName, 'Connor')", False),
        ("accountEnabled eq true", True),
        ("accountEnabled eq false", False),
        ("department eq 'Sales' and accountEnabled eq true", True),
        ("department eq 'IT' or department eq 'Sales'", True),
        ("(department eq 'IT' or department eq 'Sales') and accountEnabled eq false", False),
        ("department in ('IT','Sales')", True),
        ("department in ('IT')", False),
        ("assignedLicenses/any(x:x/skuId eq 6fd2c87f-b296-42f0-b197-1e91e994b900)", True),
        ("assignedLicenses/any(x:x/skuId eq 6fd2c87f-b296-42f0-b197-1e91e994b901)", False),
        ("proxyAddresses/any(a:a eq 'SMTP:liam@contoso.com')", True),
    ],
)
def test_plain_filters(text: str, passes: bool) -> None:
    assert parse(text, USER, advanced=False).passes(LIAM) is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("department ne 'IT'", True),
        ("not startswith(displayName,'Liam')", False),
        ("endswith(userPrincipalName,'@contoso.com')", True),
        ("onPremisesExtensionAttributes/extensionAttribute15 eq 'opsloom:1'", True),
    ],
)
def test_advanced_filters_need_the_header_and_the_count(text: str, passes: bool) -> None:
    assert parse(text, USER, advanced=True).passes(LIAM) is passes
    with pytest.raises(GraphError) as refused:
        parse(text, USER, advanced=False)
    assert refused.value.code == "Request_UnsupportedQuery"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("shoeSize eq 44", "BadRequest"),
        ("displayName eq", "BadRequest"),
        ("displayName eq 'open", "BadRequest"),
        ("displayName = 'x'", "BadRequest"),
        ("(displayName eq 'x'", "BadRequest"),
        ("displayName eq 'x' displayName", "BadRequest"),
        ("assignedLicenses/any(x:y/skuId eq 'x')", "BadRequest"),
        ("accountEnabled eq maybe", "BadRequest"),
        ("startswith(accountEnabled,'t')", "Request_UnsupportedQuery"),
        ("createdDateTime eq 'x'", "Request_UnsupportedQuery"),
        ("endswith(displayName,'x')", "Request_UnsupportedQuery"),
    ],
)
def test_what_graph_would_refuse_is_refused(text: str, code: str) -> None:
    with pytest.raises(GraphError) as refused:
        parse(text, USER, advanced=True)
    assert (refused.value.status, refused.value.code) == (400, code)


def test_group_types() -> None:
    unified = parse("groupTypes/any(c:c eq 'Unified')", GROUP, advanced=False)
    assert unified.passes({"groupTypes": ["Unified"]})
    assert not unified.passes({"groupTypes": []})
