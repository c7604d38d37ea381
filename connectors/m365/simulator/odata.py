"""Query options of a read: ``$select``, ``$filter``, ``$search``, ``$orderby``, ``$top``, ``$count``, and paging.

What Graph would refuse is refused with Graph's error; what it would accept and this simulator does not know is 501.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from connectors.m365.simulator import filters
from connectors.m365.simulator.errors import malformed, not_simulated, unsupported_query
from connectors.m365.simulator.models import fields_of, model
from connectors.m365.simulator.schema import Resource
from connectors.m365.simulator.wire import Request

Json = dict[str, Any]

OPTIONS = ("$select", "$filter", "$search", "$orderby", "$top", "$count", "$skiptoken", "$expand", "$skip", "$format")
MAX_TOP = 999
DEFAULT_TOP = 100
SEARCH = re.compile(r'"(\w+):([^"]+)"')


@dataclass(frozen=True)
class Query:
    """The options of one request, read and checked."""

    select: tuple[str, ...]
    selected: bool
    filter: filters.Filter | None
    search: tuple[tuple[str, str], ...]
    order: tuple[str, bool] | None
    top: int
    count: bool
    after: tuple[str, str] | None

    def shape(self, item: Json) -> Json:
        """The selected properties of ``item``, annotations kept."""
        return {n: v for n, v in item.items() if n in self.select or n.startswith("@odata.")}

    def keeps(self, item: Json) -> bool:
        """Whether ``item`` passes the filter and the search."""
        if self.filter is not None and not self.filter.passes(item):
            return False
        return not self.search or any(text in str(item.get(name) or "").lower() for name, text in self.search)

    def place(self, item: Json) -> tuple[str, str]:
        """Where ``item`` stands: by the property asked for, else by display name; ids make it total."""
        name = self.order[0] if self.order else "displayName"
        return str(item.get(name) or "").casefold(), str(item["id"])


def read(request: Request, resource: Resource, *, collection: bool = True) -> Query:
    """The request's query options, held against ``resource``."""
    given = request.query
    for name in given:
        if name not in OPTIONS:
            raise malformed(f"The query parameter '{name}' is not recognized.")
    for name in ("$expand", "$skip", "$format"):
        if name in given:
            raise not_simulated(f"the query option {name} on {resource.name}")
    if not collection and set(given) - {"$select"}:
        raise malformed(f"Query option '{min(set(given) - {'$select'})}' is not allowed on a single entity.")
    count = given.get("$count", "").lower() == "true"
    eventual = request.headers.get("consistencylevel", "").lower() == "eventual"
    return Query(
        select=_select(given.get("$select"), resource),
        selected="$select" in given,
        filter=filters.parse(given["$filter"], resource, advanced=count and eventual) if "$filter" in given else None,
        search=_search(given.get("$search"), resource, eventual=eventual),
        order=_order(given.get("$orderby"), resource, advanced=count and eventual, filtered="$filter" in given),
        top=_top(given.get("$top")),
        count=count and eventual,
        after=_after(given.get("$skiptoken")),
    )


def _select(text: str | None, resource: Resource) -> tuple[str, ...]:
    if text is None:
        return resource.default
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name in resource.selectable or name == "*":
            continue
        if name in fields_of(model(resource.model)):
            raise not_simulated(f"the property {name} of {resource.name}")
        raise malformed(
            "Parsing OData Select and Expand failed: Could not find a property named "
            f"'{name}' on type 'microsoft.graph.{resource.name}'."
        )
    return tuple(sorted(resource.selectable)) if "*" in names else names


def _search(text: str | None, resource: Resource, *, eventual: bool) -> tuple[tuple[str, str], ...]:
    if text is None:
        return ()
    if not eventual:
        raise unsupported_query(
            "Request with $search query parameter only works through MSGraph with a special request header: "
            "'ConsistencyLevel: eventual'"
        )
    found = SEARCH.findall(text)
    remainder = SEARCH.sub("", text).replace("OR", "").strip()
    if not found or remainder or any(name not in resource.searchable for name, _ in found):
        raise unsupported_query(f"Unrecognized query argument in $search: {text}")
    return tuple((name, value.lower()) for name, value in found)


def _order(text: str | None, resource: Resource, *, advanced: bool, filtered: bool) -> tuple[str, bool] | None:
    if text is None:
        return None
    name, _, direction = text.strip().partition(" ")
    if name not in resource.sortable or direction.strip().lower() not in ("", "asc", "desc"):
        raise unsupported_query(f"Unsupported sort property '{name}' for '{resource.name.capitalize()}'.")
    if filtered and not advanced:
        raise unsupported_query("Sorting not supported for current query.")
    return name, direction.strip().lower() == "desc"


def _top(text: str | None) -> int:
    if text is None:
        return DEFAULT_TOP
    if not text.isdigit() or not 1 <= int(text) <= MAX_TOP:
        raise malformed(f"Invalid page size specified: '{text}'. Must be between 1 and {MAX_TOP} inclusive.")
    return int(text)


def _after(token: str | None) -> tuple[str, str] | None:
    if token is None:
        return None
    try:
        place = json.loads(base64.urlsafe_b64decode(token))
        return str(place[0]), str(place[1])
    except (ValueError, IndexError, TypeError) as error:
        raise malformed("The value of the skip token is invalid or has expired.") from error


def page(request: Request, query: Query, items: Iterable[Json], context: str, limit: int | None) -> Json:
    """One page of ``items`` as Graph gives a collection; ``limit`` makes pages smaller than asked."""
    kept = sorted((item for item in items if query.keeps(item)), key=query.place)
    backwards = bool(query.order and query.order[1])
    if backwards:
        kept.reverse()
    total = len(kept)
    if query.after is not None:
        after = query.after
        kept = [i for i in kept if (query.place(i) < after if backwards else query.place(i) > after)]
    size = min(query.top, limit or query.top)
    chosen = f"({','.join(query.select)})" if query.selected else ""
    answer: Json = {"@odata.context": f"{request.base}/v1.0/$metadata#{context}{chosen}"}
    if query.count:
        answer["@odata.count"] = total
    if len(kept) > size:
        answer["@odata.nextLink"] = _next_link(request, query.place(kept[size - 1]))
    answer["value"] = [query.shape(item) for item in kept[:size]]
    return answer


def _next_link(request: Request, place: tuple[str, str]) -> str:
    token = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    options = {**request.query, "$skiptoken": token}
    return f"{request.base}{request.path}?{urlencode(options, safe='$,')}"
