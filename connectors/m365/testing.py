"""Microsoft 365 for the contract suite: a small tenant, an application that may do everything and one that may not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from connectors.base import Environment, Json
from connectors.m365.config import M365Config
from connectors.m365.connector import M365
from connectors.testing import Bench, Prepare, Sample, Sandbox, SimulatorControl

FULL = {"clientId": "11111111-1111-4111-8111-111111111111", "clientSecret": "full-secret-for-the-simulator-only"}
POOR = {"clientId": "22222222-2222-4222-8222-222222222222", "clientSecret": "poor-secret-for-the-simulator-only"}
E3 = {
    "name": "ENTERPRISEPACK",
    "skuId": "6fd2c87f-b296-42f0-b197-1e91e994b900",
    "seats": 4,
    "plans": [{"name": "EXCHANGE_S_ENTERPRISE"}, {"name": "YAMMER_ENTERPRISE"}],
}
FULL_SKU = {"name": "VISIOCLIENT", "skuId": "c5928f49-12ba-48f7-ada3-0d743a3601d5", "seats": 1}
FREE = {"name": "FLOW_FREE", "skuId": "f30db892-07e9-47e9-837c-80727f46fd3d", "seats": 100}
THROUGH = {"name": "POWER_BI_STANDARD", "skuId": "a403ebcc-fae0-4ca2-8c8c-7a907fd6c235", "seats": 9}

TENANT: Json = {
    "slug": "sandbox",
    "displayName": "Sandbox Ltd",
    "country": "FR",
    "domains": [{"name": "sandbox.example", "isDefault": True}, {"name": "sandbox.onmicrosoft.com", "isInitial": True}],
    "skus": [E3, FULL_SKU, FREE, THROUGH],
    "users": [
        {
            "userPrincipalName": "anna.berg@sandbox.example",
            "displayName": "Anna Berg",
            "department": "Sales",
            "usageLocation": "FR",
            "licences": ["ENTERPRISEPACK", "VISIOCLIENT"],
        },
        {
            "userPrincipalName": "liam.o'connor@sandbox.example",
            "displayName": "Liam O'Connor",
            "department": "Sales",
            "jobTitle": "Représentant",
            "usageLocation": "FR",
            "licences": ["ENTERPRISEPACK", "FLOW_FREE"],
        },
        {"userPrincipalName": "zoe@sandbox.example", "displayName": "Zoë Lefèvre", "usageLocation": "FR"},
        {"userPrincipalName": "blocked@sandbox.example", "displayName": "Blocked", "accountEnabled": False},
        {"userPrincipalName": "synced@sandbox.example", "displayName": "Synced", "onPremisesSyncEnabled": True},
    ],
    "groups": [
        {"displayName": "Sales", "members": ["anna.berg@sandbox.example", "liam.o'connor@sandbox.example"]},
        {"displayName": "Engineering", "members": ["anna.berg@sandbox.example"]},
        {"displayName": "L'équipe", "members": []},
        {
            "displayName": "Reports",
            "licences": ["POWER_BI_STANDARD"],
            "members": ["liam.o'connor@sandbox.example"],
        },
        {
            "displayName": "Everybody",
            "groupTypes": ["DynamicMembership"],
            "membershipRule": "(user.accountEnabled -eq true)",
            "members": ["liam.o'connor@sandbox.example"],
        },
    ],
    "apps": [FULL, {**POOR, "roles": ["User.Read.All", "Organization.Read.All"]}],
}
NOBODY = "nobody@sandbox.example"
LIAM = "liam.o'connor@sandbox.example"


def _deleted() -> Prepare:
    """Parameters of a step that finds the account's licences and groups as they were."""

    async def prepare(_: Bench) -> Json:
        return {"user": LIAM}

    return prepare


SAMPLES = {
    "m365.user.create": Sample(
        {
            "user_principal_name": "renee.d'arcy@sandbox.example",
            "display_name": "Renée d'Arcy",
            "given_name": "Renée",
            "surname": "d'Arcy",
            "department": "Engineering",
            "usage_location": "FR",
        },
        rejected={"user_principal_name": "x@elsewhere.example", "display_name": "X", "usage_location": "FR"},
    ),
    "m365.user.update": Sample(
        {"user": LIAM, "department": "Ingénierie", "clear": ["job_title"]},
        missing={"user": NOBODY, "department": "Sales"},
        rejected={"user": "synced@sandbox.example", "department": "Sales"},
    ),
    "m365.user.disable": Sample({"user": LIAM}, missing={"user": NOBODY}, rejected={"user": "synced@sandbox.example"}),
    "m365.user.enable": Sample({"user": "blocked@sandbox.example"}, missing={"user": NOBODY}),
    "m365.user.revoke_sessions": Sample({"user": LIAM}, missing={"user": NOBODY}, settles=False),
    "m365.user.delete": Sample(_deleted(), missing={"user": NOBODY}, rejected={"user": "synced@sandbox.example"}),
    "m365.user.get": Sample({"user": LIAM}, missing={"user": NOBODY}),
    "m365.user.list": Sample({}),
    "m365.licence.assign": Sample(
        {"user": "zoe@sandbox.example", "licences": ["ENTERPRISEPACK", "FLOW_FREE"]},
        missing={"user": NOBODY, "licences": ["FLOW_FREE"]},
        rejected={"user": "zoe@sandbox.example", "licences": ["VISIOCLIENT"]},
    ),
    "m365.licence.remove": Sample(
        {"user": LIAM, "all": True},
        missing={"user": NOBODY, "all": True},
        rejected={"user": LIAM, "licences": ["POWER_BI_STANDARD"]},
    ),
    "m365.licence.list": Sample({}),
    "m365.group.add_member": Sample(
        {"user": "zoe@sandbox.example", "groups": ["Sales", "L'équipe"]},
        missing={"user": "zoe@sandbox.example", "groups": ["No such group"]},
        rejected={"user": "zoe@sandbox.example", "groups": ["Everybody"]},
    ),
    "m365.group.remove_member": Sample(
        {"user": LIAM, "all": True},
        missing={"user": NOBODY, "all": True},
        rejected={"user": LIAM, "groups": ["Everybody"]},
    ),
    "m365.group.list": Sample({}),
}


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A simulator in a thread of this process, for as long as the block lasts."""
    from connectors.m365.simulator.starter import running, warm

    warm()
    seed: Json = {"tenant": TENANT, "replace": True}
    with running() as simulator:
        control = SimulatorControl(simulator.plain_url)
        tenant = control.seed(seed)[0]["tenant_id"]
        config = _config(tenant, FULL)
        yield Sandbox(
            connector=M365(),
            environment=Environment(endpoints=simulator.endpoints),
            control=control,
            config=config,
            wrong_config=config.model_copy(update={"client_secret": SecretStr("not-the-secret-of-anybody")}),
            poor_config=_config(tenant, POOR),
            samples=SAMPLES,
            seed=seed,
        )


def _config(tenant: str, app: Json) -> M365Config:
    return M365Config(tenant_id=tenant, client_id=app["clientId"], client_secret=SecretStr(app["clientSecret"]))
