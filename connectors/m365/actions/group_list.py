"""List the tenant's groups."""

from __future__ import annotations

from typing import Any

from connectors.base import Json, Output, Params, ReadAction, Text, param
from connectors.m365.actions.members import CATEGORY
from connectors.m365.client import PAGE, M365Client
from connectors.m365.directory import GROUP_SELECT, Group, group_of


class GroupRow(Output):
    """One group. ``changeable`` says whether members can be added and removed from here."""

    id: str
    display_name: str
    kind: str
    dynamic: bool
    changeable: bool
    detail: str


class ListGroups(ReadAction[M365Client, Any]):
    """By name; those whose members can be changed first."""

    id = "m365.group.list"
    title = Text("List groups", "Lister les groupes")
    summary = Text("The groups of the tenant.", "Les groupes du tenant.")
    category = CATEGORY
    icon = "users-round"
    permissions = ("GroupMember.Read.All",)

    class Params(Params):
        search: str = param(
            "Name contains",
            "Le nom contient",
            default="",
            help_en="A word of the name. Leave it empty for all.",
            help_fr="Un mot du nom. Laisser vide pour tous.",
            max_length=100,
        )
        limit: int = param("At most", "Au plus", default=1000, ge=1, le=20_000)

    class Output(Output):
        items: list[GroupRow]

    async def read(self, client: M365Client, params: Params) -> Output:
        query: Json = {"select": GROUP_SELECT, "top": min(params.limit, PAGE)}
        if word := params.search.replace('"', "").replace("\\", "").strip():
            query["search"] = f'"displayName:{word}"'
        rows = await client.pages(
            "list groups", lambda graph: graph.groups, limit=params.limit, eventual="search" in query, **query
        )
        items = [_row(group_of(row)) for row in rows]
        return self.Output(
            items=sorted(items, key=lambda row: (not row.changeable, row.display_name.casefold(), row.id))
        )


def _row(group: Group) -> GroupRow:
    return GroupRow(
        id=group.id,
        display_name=group.name,
        kind=group.kind,
        dynamic=group.dynamic,
        changeable=group.obstacle is None,
        detail=" · ".join((group.kind, group.obstacle)) if group.obstacle else group.kind,
    )
