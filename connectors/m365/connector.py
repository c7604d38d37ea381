"""Microsoft 365: users, licences and groups of an Entra ID tenant, through Microsoft Graph."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel

from connectors.base import Action, Connector, Environment, PermissionReport, Rate, Text
from connectors.errors import AuthFailed
from connectors.m365.actions import ACTIONS
from connectors.m365.client import M365Client
from connectors.m365.config import M365Config
from connectors.m365.signin import claims

# A permission is also had through a wider one.
WIDER = {
    "User.ReadWrite.All": {"Directory.ReadWrite.All"},
    "User.Read.All": {"User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
    "GroupMember.ReadWrite.All": {"Group.ReadWrite.All", "Directory.ReadWrite.All"},
    "GroupMember.Read.All": {"GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All",
                             "Directory.Read.All", "Directory.ReadWrite.All"},
    "Organization.Read.All": {"Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
    "User.DeleteRestore.All": {"User.ReadWrite.All"},
}  # fmt: skip


class M365(Connector):
    """The manifest. Nothing of the vendor's SDK is imported until a client is used."""

    id = "m365"
    title = Text("Microsoft 365", "Microsoft 365")
    icon = "cloud"
    # Graph gives a small tenant 3,500 resource units in ten seconds; an operation of ours takes up to a dozen.
    rate = Rate(per_s=20, burst=100)
    Config: ClassVar[type[BaseModel]] = M365Config
    actions: ClassVar[tuple[type[Action[M365Client, BaseModel]], ...]] = ACTIONS

    def open(self, client_id: UUID, config: BaseModel, environment: Environment) -> M365Client:
        assert isinstance(config, M365Config)
        return M365Client(client_id, config, environment)

    async def test(self, client: M365Client) -> PermissionReport:
        """Sign in afresh; the roles in the token are what was consented to, with what wider ones bring along."""
        await client.sign_in.forget()
        said = claims(await client.sign_in.token())
        roles = frozenset(said.get("roles", ()))
        granted = tuple(sorted(roles | {name for name in wanted_permissions() if has(roles, name)}))
        missing = tuple(name for name in wanted_permissions() if name not in granted)
        name = await _tenant_name(client)
        return PermissionReport(tenant=str(said["tid"]), tenant_name=name, granted=granted, missing=missing)


def wanted_permissions() -> tuple[str, ...]:
    """What all actions together need."""
    return tuple(sorted({name for action in ACTIONS for name in action.permissions}))


def has(granted: frozenset[str], name: str) -> bool:
    """Whether ``name`` was granted, by itself or within a wider permission."""
    return name in granted or not WIDER.get(name, set()).isdisjoint(granted)


async def _tenant_name(client: M365Client) -> str:
    """The organization's name; empty where we may not read it, which the missing permission then says."""
    try:
        found = await client.get("read organization", lambda graph: graph.organization, select=["id", "displayName"])
    except AuthFailed as error:
        if error.code != "missing_permission":
            raise
        return ""
    return str(found["value"][0]["displayName"])
