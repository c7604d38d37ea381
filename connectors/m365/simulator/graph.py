"""The part of Microsoft Graph v1.0 that is simulated: one line a path, then a function for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.m365.simulator import odata, permissions, views
from connectors.m365.simulator.directory import Directory
from connectors.m365.simulator.errors import GraphError, bad_request, malformed, not_found, not_simulated
from connectors.m365.simulator.models import model, problems
from connectors.m365.simulator.schema import GROUP, LICENCE_DETAILS, ORGANIZATION, SKU, USER, Resource
from connectors.m365.simulator.state import Tenant
from connectors.m365.simulator.wire import Answer, BadJson, Json, Request


@dataclass(frozen=True)
class Call:
    """One authorised request to Graph, with what its handler needs."""

    request: Request
    tenant: Tenant
    directory: Directory
    now: float
    keys: tuple[str, ...]
    body: Json
    page_limit: int | None

    def context(self, name: str) -> str:
        return f"{self.request.base}/v1.0/$metadata#{name}"

    def page(self, resource: Resource, items: list[Json], context: str) -> Answer:
        query = odata.read(self.request, resource)
        return Answer(200, odata.page(self.request, query, items, context, self.page_limit))

    def entity(self, resource: Resource, item: Json, context: str) -> Answer:
        query = odata.read(self.request, resource, collection=False)
        return Answer(200, {"@odata.context": self.context(context), **query.shape(item)})

    def seen_user(self, key: str) -> Json:
        """The stored user as reads see it by now, by id or principal name."""
        for user_id, user in self.tenant.users.seen(self.now):
            if key.lower() in (user_id, user["userPrincipalName"].lower()):
                return user
        raise not_found(key)

    def seen_group(self, key: str) -> Json:
        found = self.tenant.groups.see(key.lower(), self.now)
        if found is None:
            raise not_found(key)
        return found


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """A path (``*`` stands for a key), its handler, the permissions, and the SDK's models of body and answer."""

    method: str
    path: tuple[str, ...]
    handler: Handler
    allowed: set[str]
    takes: str | None = None
    gives: str | None = None

    def match(self, segments: tuple[str, ...]) -> tuple[str, ...] | None:
        if len(segments) != len(self.path):
            return None
        pairs = list(zip(self.path, segments, strict=True))
        if any(want not in ("*", got) for want, got in pairs):
            return None
        return tuple(got for want, got in pairs if want == "*")


# Users


def list_users(call: Call) -> Answer:
    items = [views.user(call.tenant, stored) for _, stored in call.tenant.users.seen(call.now)]
    return call.page(USER, items, "users")


def get_user(call: Call) -> Answer:
    return call.entity(USER, views.user(call.tenant, call.seen_user(call.keys[0])), "users/$entity")


def create_user(call: Call) -> Answer:
    _writable_only(call.body)
    stored = call.directory.create_user(call.body)
    shown = views.user(call.tenant, stored)
    return Answer(201, {"@odata.context": call.context("users/$entity"), **{n: shown[n] for n in USER.default}})


def update_user(call: Call) -> Answer:
    _writable_only(call.body)
    if not call.body:
        raise bad_request("No properties to update were given.")
    call.directory.update_user(call.keys[0], call.body)
    return Answer(204)


def delete_user(call: Call) -> Answer:
    call.directory.delete_user(call.keys[0])
    return Answer(204)


def revoke_sessions(call: Call) -> Answer:
    call.directory.revoke_sessions(call.keys[0])
    return Answer(200, {"@odata.context": call.context("Edm.Boolean"), "value": True})


def assign_licence(call: Call) -> Answer:
    if "addLicenses" not in call.body or "removeLicenses" not in call.body:
        missing = "addLicenses" if "addLicenses" not in call.body else "removeLicenses"
        raise malformed(f"One or more parameters of the operation 'assignLicense' are missing: '{missing}'.")
    stored = call.directory.assign_licences(call.keys[0], call.body["addLicenses"], call.body["removeLicenses"])
    shown = views.user(call.tenant, stored)
    return Answer(200, {"@odata.context": call.context("users/$entity"), **{n: shown[n] for n in USER.default}})


def licence_details(call: Call) -> Answer:
    user = call.seen_user(call.keys[0])
    return call.page(LICENCE_DETAILS, views.licence_details(call.tenant, user), "users/licenseDetails")


def member_of(call: Call) -> Answer:
    user = call.seen_user(call.keys[0])
    found = [group for _, group in call.tenant.groups.seen(call.now) if user["id"] in group["$members"]]
    return call.page(GROUP, [{"@odata.type": "#microsoft.graph.group", **views.group(g)} for g in found],
                     "directoryObjects")  # fmt: skip


def _writable_only(body: Json) -> None:
    for name in body:
        if name.startswith("@odata."):
            continue
        if name not in USER.writable and name in USER.selectable:
            raise bad_request(f"Property '{name}' is read-only and cannot be set.", target=name)
        if name not in USER.writable:
            raise not_simulated(f"writing the property {name} of user")


# The recycle bin


def list_deleted_users(call: Call) -> Answer:
    items = [views.user(call.tenant, stored) for _, stored in call.tenant.deleted.seen(call.now)]
    return call.page(USER, items, "directory/deletedItems/microsoft.graph.user")


def get_deleted(call: Call) -> Answer:
    stored = call.tenant.deleted.see(call.keys[0].lower(), call.now)
    if stored is None:
        raise not_found(call.keys[0])
    shown = {"@odata.type": "#microsoft.graph.user", **views.user(call.tenant, stored)}
    return call.entity(USER, shown, "directoryObjects/$entity")


def restore_deleted(call: Call) -> Answer:
    stored = call.directory.restore_user(call.keys[0].lower())
    shown = views.user(call.tenant, stored)
    given = {"@odata.type": "#microsoft.graph.user", **{n: shown[n] for n in USER.default}}
    return Answer(200, {"@odata.context": call.context("directoryObjects/$entity"), **given})


def purge_deleted(call: Call) -> Answer:
    call.directory.purge_user(call.keys[0].lower())
    return Answer(204)


# Groups


def list_groups(call: Call) -> Answer:
    items = [views.group(stored) for _, stored in call.tenant.groups.seen(call.now)]
    return call.page(GROUP, items, "groups")


def get_group(call: Call) -> Answer:
    return call.entity(GROUP, views.group(call.seen_group(call.keys[0])), "groups/$entity")


def list_members(call: Call) -> Answer:
    members = set(call.seen_group(call.keys[0])["$members"])
    found = [views.user(call.tenant, user) for key, user in call.tenant.users.seen(call.now) if key in members]
    items = [{"@odata.type": "#microsoft.graph.user", **one} for one in found]
    return call.page(USER, items, "directoryObjects")


def add_member(call: Call) -> Answer:
    reference = str(call.body.get("@odata.id", ""))
    prefix, _, user_id = reference.rpartition("/")
    if not prefix.startswith(call.request.base) or prefix.rsplit("/", 1)[-1] not in ("directoryObjects", "users"):
        raise malformed(f"Invalid value '{reference}' specified for the '@odata.id' of a reference.")
    call.directory.add_member(call.keys[0], user_id)
    return Answer(204)


def remove_member(call: Call) -> Answer:
    call.directory.remove_member(call.keys[0], call.keys[1])
    return Answer(204)


# The organization


def list_skus(call: Call) -> Answer:
    held = [call.directory.effective(user) for _, user in call.tenant.users.seen(call.now)]
    items = [views.sku(call.tenant, s, sum(s["skuId"] in one for one in held)) for s in call.tenant.skus]
    return call.page(SKU, items, "subscribedSkus")


def list_organization(call: Call) -> Answer:
    return call.page(ORGANIZATION, [views.organization(call.tenant)], "organization")


def _route(method: str, path: str, handler: Handler, allowed: set[str], takes: str | None = None,
           gives: str | None = None) -> Route:  # fmt: skip
    return Route(method, tuple(path.split("/")), handler, allowed, takes, gives)


_LICENCE_BODY = (
    "msgraph.generated.users.item.assign_license.assign_license_post_request_body:AssignLicensePostRequestBody"
)
_REVOKED = (
    "msgraph.generated.users.item.revoke_sign_in_sessions.revoke_sign_in_sessions_post_response:"
    "RevokeSignInSessionsPostResponse"
)
_USERS = "user_collection_response:UserCollectionResponse"
_GROUPS = "group_collection_response:GroupCollectionResponse"
_OBJECTS = "directory_object_collection_response:DirectoryObjectCollectionResponse"
_DETAILS = "license_details_collection_response:LicenseDetailsCollectionResponse"
_SKUS = "subscribed_sku_collection_response:SubscribedSkuCollectionResponse"
_ORGANIZATIONS = "organization_collection_response:OrganizationCollectionResponse"
_OBJECT = "directory_object:DirectoryObject"
_P = permissions

ROUTES = (
    _route("GET", "users", list_users, _P.LIST_USERS, gives=_USERS),
    _route("POST", "users", create_user, _P.WRITE_USERS, "user:User", "user:User"),
    _route("GET", "users/*", get_user, _P.READ_USERS, gives="user:User"),
    _route("PATCH", "users/*", update_user, _P.WRITE_USERS | _P.ENABLE_USERS, "user:User"),
    _route("DELETE", "users/*", delete_user, _P.DELETE_USERS),
    _route("POST", "users/*/revokeSignInSessions", revoke_sessions, _P.REVOKE_SESSIONS, gives=_REVOKED),
    _route("POST", "users/*/assignLicense", assign_licence, _P.ASSIGN_LICENCES, _LICENCE_BODY, "user:User"),
    _route("GET", "users/*/licenseDetails", licence_details, _P.READ_USERS, gives=_DETAILS),
    _route("GET", "users/*/memberOf", member_of, _P.READ_USERS, gives=_OBJECTS),
    _route("GET", "directory/deletedItems/graph.user", list_deleted_users, _P.READ_USERS, gives=_USERS),
    _route("GET", "directory/deletedItems/microsoft.graph.user", list_deleted_users, _P.READ_USERS, gives=_USERS),
    _route("GET", "directory/deletedItems/*", get_deleted, _P.READ_USERS, gives=_OBJECT),
    _route("POST", "directory/deletedItems/*/restore", restore_deleted, _P.DELETE_USERS, gives=_OBJECT),
    _route("DELETE", "directory/deletedItems/*", purge_deleted, _P.DELETE_USERS),
    _route("GET", "subscribedSkus", list_skus, _P.READ_SKUS, gives=_SKUS),
    _route("GET", "groups", list_groups, _P.READ_GROUPS, gives=_GROUPS),
    _route("GET", "groups/*", get_group, _P.READ_GROUPS, gives="group:Group"),
    _route("GET", "groups/*/members", list_members, _P.READ_GROUPS, gives=_OBJECTS),
    _route("POST", "groups/*/members/$ref", add_member, _P.WRITE_MEMBERS, "reference_create:ReferenceCreate"),
    _route("DELETE", "groups/*/members/*/$ref", remove_member, _P.WRITE_MEMBERS),
    _route("GET", "organization", list_organization, _P.READ_ORGANIZATION, gives=_ORGANIZATIONS),
)


def operation(method: str, segments: tuple[str, ...]) -> str:
    """The request's method and path with ``*`` for its keys, as the journal and faults name it."""
    for route in ROUTES:
        if route.match(segments) is not None:
            return f"{method} /{'/'.join(route.path)}"
    return f"{method} /{'/'.join(segments)}"


def find(method: str, segments: tuple[str, ...]) -> tuple[Route, tuple[str, ...]]:
    """The route of a request. An unknown path is refused as Graph refuses it, a known one's other verb with 405."""
    known = False
    for route in ROUTES:
        keys = route.match(segments)
        if keys is None:
            continue
        if route.method == method:
            return route, keys
        known = True
    if known:
        raise GraphError(
            405, "Request_BadRequest", f"Specified HTTP method is not allowed for the request target: {method}."
        )
    raise GraphError(400, "BadRequest", f"Resource not found for the segment '{'/'.join(segments)}'.")


def body_of(request: Request, route: Route) -> Json:
    """The request's body, held against the SDK's model of it."""
    try:
        body = request.json()
    except BadJson as error:
        raise malformed(
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid "
            "JSON format."
        ) from error
    if body and route.takes is None:
        raise malformed(f"This request takes no body: {sorted(body)}")
    if route.takes is not None:
        found = list(problems(model(route.takes), body))
        if found:
            raise malformed(f"The body does not fit the type: {'; '.join(found)}.")
    return body


def check_answer(route: Route, answer: Answer) -> None:
    """Our own answers must be readable by the SDK to the last field; anything else is a fault of the simulator."""
    if route.gives is None or answer.body is None:
        return
    found: list[Any] = list(problems(model(route.gives), answer.body))
    if found:
        raise GraphError(500, "SimulatorAnswerInvalid", f"The simulator's answer does not fit the SDK: {found}")
