"""What the simulator holds: tenants, and in each its users, groups, licences and applications.

Writes act on the present. Reads may lag behind, as Graph's replicas do: each object keeps the versions that are still
waiting to become visible.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]

# Moments that the platform chooses. They differ between two runs of the same work, so a dump lists them apart.
MOMENTS = ("createdDateTime", "deletedDateTime", "lastPasswordChangeDateTime")


@dataclass
class Entry:
    """One object: how it is (None: gone) and how it becomes visible, oldest first."""

    present: Json | None
    versions: list[tuple[float, Json | None]] = field(default_factory=list)

    def seen(self, now: float) -> Json | None:
        """The object as a read at ``now`` finds it."""
        visible: Json | None = None
        for since, version in self.versions:
            if since <= now:
                visible = version
        return visible


class Table:
    """Objects of one kind by id. ``revision`` counts the changes."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self.revision = 0

    def get(self, key: str) -> Json | None:
        """The object as it is. Change a copy and ``put`` it back."""
        entry = self._entries.get(key)
        return copy.deepcopy(entry.present) if entry and entry.present is not None else None

    def put(self, key: str, value: Json | None, visible_at: float = 0.0) -> None:
        """Make it so (None: delete); reads see it from ``visible_at`` on."""
        entry = self._entries.setdefault(key, Entry(None))
        if entry.present != value:
            self.revision += 1
        entry.present = copy.deepcopy(value)
        if visible_at <= 0:
            entry.versions = [(0.0, entry.present)]
            return
        last = entry.versions[-1][0] if entry.versions else 0.0
        entry.versions.append((max(visible_at, last), entry.present))

    def present(self) -> Iterator[tuple[str, Json]]:
        """Every object there is, as it is."""
        return ((key, e.present) for key, e in self._entries.items() if e.present is not None)

    def seen(self, now: float) -> Iterator[tuple[str, Json]]:
        """Every object that a read at ``now`` finds."""
        found = ((key, entry.seen(now)) for key, entry in self._entries.items())
        return ((key, value) for key, value in found if value is not None)

    def see(self, key: str, now: float) -> Json | None:
        entry = self._entries.get(key)
        return entry.seen(now) if entry else None


@dataclass
class Application:
    """An app registration with consent in the tenant. The secret is kept as a digest."""

    client_id: str
    secret_digest: str
    roles: list[str]

    def accepts(self, secret: str) -> bool:
        return digest(secret) == self.secret_digest


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def password_record(password: str) -> Json:
    salt = os.urandom(8).hex()
    return {"salt": salt, "digest": digest(salt + password)}


@dataclass
class Tenant:
    """One organization. Users hold their direct licences in ``$licences`` and those through groups in ``$inherited``;
    groups hold member ids in ``$members``."""

    id: str
    slug: str
    display_name: str
    country: str
    created: str
    domains: list[Json]
    skus: list[Json]
    apps: dict[str, Application] = field(default_factory=dict)
    users: Table = field(default_factory=Table)
    groups: Table = field(default_factory=Table)
    deleted: Table = field(default_factory=Table)

    def sku(self, sku_id: str) -> Json | None:
        return next((sku for sku in self.skus if sku["skuId"] == sku_id.lower()), None)

    @property
    def revision(self) -> int:
        """Grows with every change to a user, a group or the recycle bin."""
        return self.users.revision + self.groups.revision + self.deleted.revision

    def is_verified(self, domain: str) -> bool:
        return any(one["name"] == domain.lower() for one in self.domains)

    def as_json(self) -> Json:
        """Everything, to be written to a file."""
        tables = {name: dict(getattr(self, name).present()) for name in ("users", "groups", "deleted")}
        apps = [asdict(app) for app in self.apps.values()]
        plain = {n: getattr(self, n) for n in ("id", "slug", "display_name", "country", "created", "domains", "skus")}
        return {**plain, "apps": apps, **tables}

    @classmethod
    def from_json(cls, data: Json) -> Tenant:
        tenant = cls(**{k: v for k, v in data.items() if k not in ("apps", "users", "groups", "deleted")})
        tenant.apps = {app["client_id"]: Application(**app) for app in data["apps"]}
        for name in ("users", "groups", "deleted"):
            for key, value in data[name].items():
                getattr(tenant, name).put(key, value)
        return tenant

    def dump(self, *, whole: bool = False) -> Json:
        """The state in an order that depends on nothing but the state, to be compared field by field.

        Passwords show only as set or not, application secrets not at all. The recycle bin (where an undone creation
        ends) and the moments that the platform chooses are there when ``whole`` is asked for.
        """
        users = {key: _dumped(value) for key, value in self.users.present()}
        groups = {key: _dumped(value) for key, value in self.groups.present()}
        seen = {
            "tenant": {"id": self.id, "slug": self.slug, "displayName": self.display_name, "country": self.country},
            "domains": sorted(self.domains, key=lambda one: str(one["name"])),
            "skus": sorted(self.skus, key=lambda one: str(one["skuId"])),
            "apps": [{"clientId": a.client_id, "roles": sorted(a.roles)} for _, a in sorted(self.apps.items())],
            "users": dict(sorted(users.items())),
            "groups": dict(sorted(groups.items())),
        }
        return {**seen, **self._passing()} if whole else seen

    def _passing(self) -> Json:
        deleted = {key: _dumped(value) for key, value in sorted(self.deleted.present())}
        everything = [*self.users.present(), *self.groups.present(), *self.deleted.present()]
        moments = {key: {n: v[n] for n in MOMENTS if v.get(n)} for key, v in sorted(everything)}
        return {"deleted": deleted, "moments": moments}


def _dumped(value: Json) -> Json:
    shown = {name: item for name, item in sorted(value.items()) if name not in MOMENTS}
    if "$password" in shown:
        shown["$password"] = "set"
    if "$members" in shown:
        shown["$members"] = sorted(shown["$members"])
    for name in ("$licences", "$inherited"):
        if name in shown:
            shown[name] = dict(sorted(shown[name].items())) if isinstance(shown[name], dict) else sorted(shown[name])
    return shown
