"""Change fields of a user."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from connectors.base import Json, Params, Planned, Text, World, param
from connectors.m365.actions import user_params as about
from connectors.m365.actions.common import CATEGORY, UserOutput, user_output, user_param
from connectors.m365.actions.state import difference
from connectors.m365.actions.user_fields import UserFieldsAction, refuse_synced
from connectors.m365.client import M365Client
from connectors.m365.directory import person_in, user_target

Emptiable = Literal[
    "given_name", "surname", "job_title", "department", "company_name", "office_location", "mobile_phone",
    "employee_id", "city", "country", "preferred_language",
]  # fmt: skip
SETTABLE = ("display_name", "usage_location", *Emptiable.__args__)  # type: ignore[attr-defined]


class UpdateUser(UserFieldsAction):
    """Fields that are left empty stay as they are."""

    id = "m365.user.update"
    title = Text("Change a user", "Modifier un utilisateur")
    summary = Text(
        "Sets the fields that are filled in; the others stay as they are.",
        "Définit les champs remplis ; les autres restent tels quels.",
    )
    category = CATEGORY
    icon = "user-pen"
    permissions = ("User.ReadWrite.All",)

    class Params(Params):
        user: str = user_param()
        display_name: about.Optional = about.display_name(default=None)
        usage_location: about.OptionalCountry = about.usage_location(default=None)
        given_name: about.Optional = about.given_name()
        surname: about.Optional = about.surname()
        job_title: about.Optional = about.job_title()
        department: about.Optional = about.department()
        company_name: about.Optional = about.company_name()
        office_location: about.Optional = about.office_location()
        mobile_phone: about.Optional = about.mobile_phone()
        employee_id: about.Optional = about.employee_id()
        city: about.Optional = about.city()
        country: about.Optional = about.country()
        preferred_language: about.Optional = about.preferred_language()
        clear: list[Emptiable] = param("Fields to empty", "Champs à vider", default_factory=list, widget="multiselect")

        @model_validator(mode="after")
        def _set_or_emptied(self) -> UpdateUser.Params:
            for name in self.clear:
                if getattr(self, name) is not None:
                    raise ValueError(f"clear: {name} is also given a value")
            if not self.clear and all(getattr(self, name) is None for name in SETTABLE):
                raise ValueError("display_name: fill in at least one field to change")
            return self

    Output = UserOutput

    async def plan(self, client: M365Client, params: Params, world: World) -> Planned:
        person, present = await person_in(client, params.user, world)
        asked: Json = {n: getattr(params, n) for n in SETTABLE if getattr(params, n) is not None or n in params.clear}
        label = str(present.get("display_name") or params.user)
        target = user_target(str(present["user_principal_name"]))
        change = difference(target, label, {name: present.get(name) for name in asked}, asked)
        if change.writes:
            refuse_synced(person, change.after or {})
        return Planned(change, user_output(person, {**present, **asked}))
