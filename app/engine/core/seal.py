"""The seal over a plan, and what has changed since it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.engine.core.document import canonical
from app.engine.core.values import is_unknown_json, to_json

Json = Mapping[str, Any]
_SEALED = ("kind", "target", "before", "after", "reversible")


def essence(change: Json) -> dict[str, Any]:
    """The part of a change that an approval speaks of: what is written where, without volatile fields and words."""
    volatile = set(change.get("volatile") or ())
    found = {name: to_json(change.get(name)) for name in _SEALED}
    for side in ("before", "after"):
        if isinstance(found[side], Mapping):
            found[side] = {name: value for name, value in found[side].items() if name not in volatile}
    return found


def change_digest(change: Json) -> str:
    """SHA-256 (hex) over the canonical JSON of a change's essence."""
    return hashlib.sha256(canonical(essence(change))).hexdigest()


def seal(
    document_hash: str,
    step_versions: Mapping[str, int],
    connections: Mapping[str, Json],
    variables: Mapping[str, Any],
    inputs: Mapping[str, Any],
    changes: Iterable[tuple[str, Json]],
    kept: Sequence[Json] = (),
) -> str:
    """The seal (SHA-256 hex) of a plan.

    ``step_versions`` by step type, ``connections`` by alias with ``id`` and ``tenant`` (the platform's own id),
    ``changes`` as (node, change) pairs in the plan's order, ``kept`` the results that a run that begins in the middle
    takes over.
    """
    sealed = {
        "document": document_hash,
        "steps": dict(step_versions),
        "connections": {
            alias: {"id": str(found["id"]), "tenant": found.get("tenant")} for alias, found in connections.items()
        },
        "variables": to_json(variables),
        "inputs": to_json(inputs),
        "changes": [[node, essence(change)] for node, change in changes],
        **({"kept": to_json(kept)} if kept else {}),
    }
    return hashlib.sha256(canonical(sealed)).hexdigest()


def differences(sealed: Mapping[str, Json], now: Mapping[str, Json]) -> list[dict[str, Any]]:
    """What a plan writes differently now, as ``{"node", "field", "sealed", "now"}``; empty when it may be written.

    Both map a node to its change. ``field`` is ``kind``, ``target``, ``reversible`` or ``before.x`` / ``after.x``; a
    node that is only on one side has the field ``change``. What was sealed as unknown matches whatever it became.
    """
    found: list[dict[str, Any]] = []
    for node in [*sealed, *(name for name in now if name not in sealed)]:
        if node not in sealed or node not in now:
            sides = [essence(side[node]) if node in side else None for side in (sealed, now)]
            found.append({"node": node, "field": "change", "sealed": sides[0], "now": sides[1]})
        else:
            found.extend({"node": node, **one} for one in change_differences(sealed[node], now[node]))
    return found


def change_differences(sealed: Json, now: Json) -> list[dict[str, Any]]:
    """As :func:`differences`, for one step's change: what a write compares just before it is made."""
    before, after = essence(sealed), essence(now)
    volatile = set(sealed.get("volatile") or ()) | set(now.get("volatile") or ())
    found: list[dict[str, Any]] = []
    for name in _SEALED:
        if isinstance(before[name], Mapping) and isinstance(after[name], Mapping) and not is_unknown_json(before[name]):
            found.extend(_by_field(name, before[name], after[name], volatile))
        elif not matches(before[name], after[name]) and before["kind"] != "unknown":
            found.append({"field": name, "sealed": before[name], "now": after[name]})
    return found


def unknown_differences(sealed: Json, params: Json) -> list[dict[str, Any]]:
    """As :func:`change_differences`, where only the run could tell what the change would be: its ``after`` are the
    step's parameters as far as they were known, and those hold."""
    return list(_by_field("after", dict(sealed.get("after") or {}), to_json(params), set()))


def matches(sealed: Any, now: Any) -> bool:
    """Whether ``now`` is what was sealed, where an unknown stands for anything."""
    if is_unknown_json(sealed):
        return True
    if isinstance(sealed, Mapping) and isinstance(now, Mapping):
        return sealed.keys() == now.keys() and all(matches(sealed[key], now[key]) for key in sealed)
    if isinstance(sealed, list) and isinstance(now, list):
        return len(sealed) == len(now) and all(matches(one, other) for one, other in zip(sealed, now, strict=True))
    return (type(sealed) is type(now) and bool(sealed == now)) or _same_number(sealed, now)


def _same_number(one: Any, other: Any) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return numbers and not isinstance(one, bool) and not isinstance(other, bool) and one == other


def _by_field(side: str, sealed: Json, now: Json, volatile: set[str]) -> Iterable[dict[str, Any]]:
    for name in [*sealed, *(name for name in now if name not in sealed)]:
        if name in volatile or (name in sealed and name in now and matches(sealed[name], now[name])):
            continue
        if is_unknown_json(sealed.get(name)):
            continue
        yield {"field": f"{side}.{name}", "sealed": sealed.get(name), "now": now.get(name)}
