"""Create a user, or bring the one that exists to what is asked for."""

from __future__ import annotations

import re
from typing import Any

from connectors.base import (
    Applied,
    Attempt,
    Change,
    Done,
    Json,
    Params,
    Planned,
    Risk,
    SecretSpec,
    Text,
    UndoPlan,
    World,
    generate_password,
    param,
)
from connectors.errors import Conflict, OutcomeUnknown, Rejected
from connectors.m365.actions import licences, members
from connectors.m365.actions import user_params as about
from connectors.m365.actions.common import CATEGORY, RECYCLE_BIN, UserOutput, user_output
from connectors.m365.actions.licences import parts_in
from connectors.m365.actions.state import difference, subject
from connectors.m365.actions.user_delete import delete_until_gone
from connectors.m365.actions.user_fields import UserFieldsAction, fill, refuse_synced
from connectors.m365.client import M365Client
from connectors.m365.directory import (
    FIELDS,
    MARKER_PREFIX,
    Person,
    find_person,
    groups_of,
    skus,
    user_target,
    verified_domains,
)
from connectors.m365.settle import until

# What Entra ID takes as the name before the @.
LOCAL_PART = re.compile(r"^[A-Za-z0-9'._!#^~\-]{1,64}$")
NOT_IN_NICKNAME = re.compile(r"[^\x21-\x7e]|[@()\\\[\]\";:<>,]")


class CreateUser(UserFieldsAction):
    """The account carries the attempt's key in an extension attribute, so that a lost answer never makes two."""

    id = "m365.user.create"
    title = Text("Create a user", "Créer un utilisateur")
    summary = Text(
        "Creates the account with its usage location and a first password. An account that exists is only brought to "
        "what is asked for.",
        "Crée le compte avec son lieu d’utilisation et un premier mot de passe. Un compte qui existe est seulement mis "
        "en conformité.",
    )
    category = CATEGORY
    icon = "user-plus"
    risk = Risk.MEDIUM
    permissions = ("User.ReadWrite.All", "Organization.Read.All")
    secrets = (SecretSpec("password", Text("First password", "Premier mot de passe"), generate_password),)

    class Params(Params):
        user_principal_name: str = param(
            "Sign-in name",
            "Nom de connexion",
            help_en="In one of the tenant's verified domains.",
            help_fr="Dans l’un des domaines vérifiés du tenant.",
            placeholder="anna.berg@contoso.com",
            pattern=r"^[^@\s]+@[^@\s]+$",
            max_length=113,
        )
        display_name: str = about.display_name(min_length=1)
        usage_location: about.Country = about.usage_location()
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
        mail_nickname: about.Optional = param(
            "Mail alias",
            "Alias de messagerie",
            default=None,
            help_en="Taken from the sign-in name when left empty.",
            help_fr="Tiré du nom de connexion si laissé vide.",
            max_length=64,
        )
        account_enabled: bool = param("May sign in", "Peut se connecter", default=True)
        change_password: bool = param(
            "Ask for a new password at first sign-in",
            "Demander un nouveau mot de passe à la première connexion",
            default=True,
        )

    class Output(UserOutput):
        created: bool
        marker: str | None = None

    async def plan(self, client: M365Client, params: Params, world: World) -> Planned:
        target = user_target(params.user_principal_name)
        person = await find_person(client, params.user_principal_name)
        present = world.over(target, person.fields if person else None)
        asked = _asked(params)
        if present is None:
            await _check_name(client, params)
            after = {**asked, "mail_nickname": asked.get("mail_nickname") or _nickname(params.user_principal_name)}
            change = Change(kind="create", target=target, label=params.display_name, after=after, note=RECYCLE_BIN)
            return Planned(change, {**user_output(None, after), "created": True})
        asked.pop("user_principal_name")
        change = difference(target, params.display_name, {name: present.get(name) for name in asked}, asked)
        if change.writes:
            refuse_synced(person, change.after or {})
        output = {**user_output(person, {**present, **asked}), "created": False}
        return Planned(change, {**output, "marker": person.marker} if person else output)

    async def apply(self, client: M365Client, params: Params, change: Change, attempt: Attempt) -> Applied:
        if change.kind != "create":
            return await super().apply(client, params, change, attempt)
        try:
            await _post(client, params, change, attempt)
            adopted = False
        except Conflict:
            # A former attempt may have done it, unseen until now because reads lag behind writes.
            if not await _is_ours(client, change, attempt):
                raise
            adopted = True
        return await self.settled(client, change, attempt, {}, adopted=adopted)

    async def recover(self, client: M365Client, params: Params, change: Change, attempt: Attempt) -> Applied | None:
        if change.kind != "create":
            return await super().recover(client, params, change, attempt)
        person = await find_person(client, subject(change))
        if person is None:
            return None
        if person.marker != MARKER_PREFIX + attempt.key:
            raise OutcomeUnknown(
                f"{person.upn} is there now, but nothing shows that this step created it.",
                details={"marker": person.marker},
            )
        return await self.settled(client, change, attempt, {}, adopted=True)

    def output_of(self, person: Person, change: Change) -> Json:
        made = {"created": change.kind == "create", "marker": person.marker}
        return {**user_output(person, person.fields), **made}

    async def plan_undo(self, client: M365Client, done: Done, world: World | None = None) -> UndoPlan:
        world = world or World()
        if done.change.kind != "create":
            return await super().plan_undo(client, done, world)
        person = await find_person(client, done.output["id"])
        recorded = done.change.after or {}
        if person is None and not world.creates(done.change.target):
            return UndoPlan(Change(kind="none", target=done.change.target, label=done.change.label))
        if person is None:
            # The same undo restores it first, and only then is it deleted as what this step made.
            return UndoPlan(_deletion(done.change, recorded))
        if person.marker is None or person.marker != done.output.get("marker"):
            raise Rejected(f"{person.upn} does not carry the mark of this run: it is left alone.", code="not_ours")
        change = _deletion(done.change, {name: person.fields[name] for name in recorded})
        return UndoPlan(change, await _drift(client, person, recorded, world) or None)

    async def undo(self, client: M365Client, done: Done, change: Change, attempt: Attempt) -> Applied:
        if done.change.kind != "create":
            return await super().undo(client, done, change, attempt)
        await delete_until_gone(client, done.output["id"], attempt)
        return Applied(change)

    async def recover_undo(self, client: M365Client, done: Done, change: Change, attempt: Attempt) -> Applied | None:
        if done.change.kind != "create":
            return await super().recover_undo(client, done, change, attempt)
        gone = await find_person(client, done.output["id"]) is None
        return Applied(change, adopted=True) if gone else None


def _asked(params: Any) -> Json:
    """The fields that the parameters speak of."""
    given = {name: getattr(params, name) for name in FIELDS}
    return {name: value for name, value in given.items() if value is not None}


def _nickname(upn: str) -> str:
    return NOT_IN_NICKNAME.sub("", upn.partition("@")[0])[:64]


def _deletion(made: Change, before: Json) -> Change:
    return Change(kind="delete", target=made.target, label=made.label, before=before, note=RECYCLE_BIN)


async def _check_name(client: M365Client, params: Any) -> None:
    """Refuse, before anything is asked of Entra ID, a name that it would refuse."""
    local, _, domain = params.user_principal_name.partition("@")
    if not LOCAL_PART.match(local) or local.endswith("."):
        raise Rejected(
            f"{local} cannot be a sign-in name: letters without accents, digits and ' . - _ ! # ^ ~ only.",
            field="user_principal_name",
            code="invalid_name",
        )
    domains = await verified_domains(client)
    if domain.lower() not in domains:
        raise Rejected(
            f"{domain} is not a verified domain of this tenant. It has: {', '.join(domains)}.",
            field="user_principal_name",
            code="unknown_domain",
        )
    if params.mail_nickname and NOT_IN_NICKNAME.search(params.mail_nickname):
        raise Rejected(f"{params.mail_nickname} cannot be a mail alias.", field="mail_nickname", code="invalid_name")


async def _post(client: M365Client, params: Any, change: Change, attempt: Attempt) -> None:
    from msgraph.generated.models.on_premises_extension_attributes import OnPremisesExtensionAttributes
    from msgraph.generated.models.password_profile import PasswordProfile
    from msgraph.generated.models.user import User

    user = User()
    fill(user, change.after or {})
    user.on_premises_extension_attributes = OnPremisesExtensionAttributes(
        extension_attribute15=MARKER_PREFIX + attempt.key
    )
    user.password_profile = PasswordProfile(
        force_change_password_next_sign_in=params.change_password,
        password=attempt.secrets["password"].get_secret_value(),
    )

    async def send(graph: Any, configuration: Any) -> Any:
        return await graph.users.post(user, configuration)

    await client.write("create user", attempt, send)


async def _is_ours(client: M365Client, change: Change, attempt: Attempt) -> bool:
    """Whether the account in the way carries this attempt's key."""
    person = await until(client, attempt, lambda: find_person(client, subject(change)), lambda seen: seen is not None,
                         change.target)  # fmt: skip
    return person is not None and person.marker == MARKER_PREFIX + attempt.key


async def _drift(client: M365Client, person: Person, recorded: Json, world: World) -> Json:
    """What is no longer as the step left it: changed fields, and what the account was given since and would keep."""
    found = world.over(f"m365.user:{person.upn.lower()}", person.fields) or person.fields
    drift = {
        name: {"expected": value, "found": found[name]} for name, value in recorded.items() if found[name] != value
    }
    kept = parts_in(world.over(licences.target_of(person.upn), licences.held(person, await skus(client))) or {})
    if kept:
        drift["licences"] = {"expected": [], "found": kept}
    groups = {group.name: True for group in await groups_of(client, person.id) if not group.dynamic}
    joined = parts_in(world.over(members.target_of(person.upn), groups) or {})
    if joined:
        drift["groups"] = {"expected": [], "found": joined}
    return drift
