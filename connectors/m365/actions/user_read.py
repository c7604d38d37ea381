"""List users, and look at one."""

from __future__ import annotations

from typing import Any, Literal

from connectors.base import Json, Output, Params, ReadAction, Text, param
from connectors.errors import NotFound
from connectors.m365.actions.common import CATEGORY, UserOutput, user_output, user_param
from connectors.m365.client import PAGE, M365Client
from connectors.m365.directory import FIELDS, find_person, groups_of, skus

LISTED = ["id", "displayName", "userPrincipalName", "accountEnabled", "department", "jobTitle", "usageLocation"]


class UserRow(UserOutput):
    """One user in a list."""

    department: str | None
    job_title: str | None
    usage_location: str | None
    detail: str


class ListUsers(ReadAction[M365Client, Any]):
    """Guests and members alike, by display name."""

    id = "m365.user.list"
    title = Text("List users", "Lister les utilisateurs")
    summary = Text("The users of the tenant.", "Les utilisateurs du tenant.")
    category = CATEGORY
    icon = "users"
    permissions = ("User.Read.All",)

    class Params(Params):
        search: str = param(
            "Name contains",
            "Le nom contient",
            default="",
            help_en="A word of the display name or of the sign-in name. Leave it empty for all.",
            help_fr="Un mot du nom affiché ou du nom de connexion. Laisser vide pour tous.",
            max_length=100,
        )
        sign_in: Literal["any", "allowed", "blocked"] = param("Sign-in", "Connexion", default="any")
        limit: int = param("At most", "Au plus", default=1000, ge=1, le=20_000)

    class Output(Output):
        items: list[UserRow]

    async def read(self, client: M365Client, params: Params) -> Output:
        query: Json = {"select": LISTED, "top": min(params.limit, PAGE)}
        if params.sign_in != "any":
            query["filter"] = f"accountEnabled eq {'true' if params.sign_in == 'allowed' else 'false'}"
        if word := params.search.replace('"', "").replace("\\", "").strip():
            query["search"] = f'"displayName:{word}" OR "userPrincipalName:{word}"'
        rows = await client.pages(
            "list users", lambda graph: graph.users, limit=params.limit, eventual="search" in query, **query
        )
        items = sorted((_row(row) for row in rows), key=lambda row: (row.display_name.casefold(), row.id))
        return self.Output(items=items)


def _row(found: Json) -> UserRow:
    fields = {ours: found.get(theirs) for ours, theirs in FIELDS.items()}
    upn = str(fields["user_principal_name"])
    return UserRow(
        id=found["id"],
        user_principal_name=upn,
        display_name=str(fields["display_name"] or upn),
        account_enabled=bool(fields["account_enabled"]),
        department=fields["department"],
        job_title=fields["job_title"],
        usage_location=fields["usage_location"],
        detail=" · ".join(str(part) for part in (upn, fields["department"]) if part),
    )


class GetUser(ReadAction[M365Client, Any]):
    """Fails where there is no such user, so that later steps can rely on it."""

    id = "m365.user.get"
    title = Text("Look up a user", "Consulter un utilisateur")
    summary = Text("One user with its licences and groups.", "Un utilisateur, avec ses licences et ses groupes.")
    category = CATEGORY
    icon = "user-search"
    permissions = ("User.Read.All", "GroupMember.Read.All", "Organization.Read.All")

    class Params(Params):
        user: str = user_param()

    class Output(UserOutput):
        mail: str | None
        given_name: str | None
        surname: str | None
        job_title: str | None
        department: str | None
        company_name: str | None
        office_location: str | None
        mobile_phone: str | None
        employee_id: str | None
        city: str | None
        country: str | None
        preferred_language: str | None
        usage_location: str | None
        licences: list[str]
        groups: list[str]

    async def read(self, client: M365Client, params: Params) -> Output:
        person = await find_person(client, params.user)
        if person is None:
            raise NotFound(f"There is no user {params.user} in this tenant.", field="user")
        parts = {sku.id: sku.part for sku in await skus(client)}
        held = sorted(parts.get(sku_id, sku_id) for sku_id in {*person.licences, *person.inherited})
        groups = sorted(group.name for group in await groups_of(client, person.id))
        extra = {n: v for n, v in person.fields.items() if n in self.Output.model_fields}
        shown = {**extra, **user_output(person, person.fields)}
        return self.Output(**shown, mail=person.mail, licences=held, groups=groups)
