"""What is wrong with a workflow for one client; the versions of its sub-workflows written into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Invalid, Missing, Problem
from app.data.models.clients import Client
from app.data.models.connections import Connection
from app.engine.core.document import Document, Node, parse_document
from app.engine.core.idle import as_stored
from app.engine.core.validation import validate as validate_document
from app.engine.steps.registry import catalogue as step_catalogue
from app.services.workflow_versions import by_name, find, find_version

Json = dict[str, Any]


async def pinned(session: AsyncSession, ctx: Context, document: Document) -> Document:
    """``document`` with each sub-workflow's version written into its step, so that what runs never changes under it.

    A step whose workflow or version is not there is left empty, which validation then says.
    """
    nodes = tuple([await _pinned_node(session, ctx, node) for node in document.nodes])
    return document.model_copy(update={"nodes": nodes}) if nodes != document.nodes else document


async def _pinned_node(session: AsyncSession, ctx: Context, node: Node) -> Node:
    info = step_catalogue().get(node.type)
    if info is None or info.body is None:
        return node
    if info.body != "workflow":
        try:
            body = await pinned(session, ctx, parse_document(node.body)) if node.body is not None else None
        except Invalid:
            return node  # validation says what is wrong with it
        return node.model_copy(update={"body": body.as_json() if body else None})
    return node.model_copy(update={"body": await _version_named(session, ctx, node.params)})


async def _version_named(session: AsyncSession, ctx: Context, params: Mapping[str, Any]) -> Json | None:
    """The document of the version that a sub-workflow step names; the published one where it names none."""
    name, number = params.get("workflow"), params.get("version")
    try:
        flow = await find(session, ctx, name) if isinstance(name, str) and name else None
        wanted = number if isinstance(number, int) else flow and flow.published_version
        return (await find_version(session, ctx, flow.id, wanted)).document if flow and wanted else None
    except Missing:
        return None


@dataclass(frozen=True)
class Surroundings:
    """What a client has that documents speak of: the platform of each connection by its alias, and the variables."""

    connections: Mapping[str, str]
    variables: Mapping[str, Any]


_ALIASES = (
    select(func.jsonb_object_agg(Connection.alias, Connection.platform))
    .where(Connection.client_id == bindparam("client"), col(Connection.removed_at).is_(None))
    .scalar_subquery()
)
_SURROUNDINGS = select(_ALIASES, Client.variables).where(Client.client_id == bindparam("client"))


async def surroundings_of(session: AsyncSession, ctx: Context) -> Surroundings:
    """The client's connections and variables as they are now."""
    connections, variables = (await session.exec(_SURROUNDINGS, params={"client": ctx.client_id})).one()
    return Surroundings(connections or {}, variables)


async def problems_of(session: AsyncSession, ctx: Context, document: Document) -> list[Problem]:
    """What is wrong with a parsed document, given the client's connections and variables."""
    found = _problems_in(document, await surroundings_of(session, ctx))
    return [*found, *await _handler_problems(session, ctx, document)]


def _problems_in(document: Document, around: Surroundings) -> list[Problem]:
    return list(validate_document(document, step_catalogue(), around.connections, around.variables))


def errors_in(document: Document, around: Surroundings, *, stored: bool = False) -> list[Problem]:
    """What keeps ``document`` from running there. A ``stored`` version may hold what a draft is refused for."""
    found = _problems_in(document, around)
    return [problem for problem in (as_stored(found) if stored else found) if problem.severity == "error"]


async def _handler_problems(session: AsyncSession, ctx: Context, document: Document) -> list[Problem]:
    """A handler that is not there yet is no error: it may be published any time before something fails."""
    if document.error_handler is None:
        return []
    name = document.error_handler.workflow
    handler = await by_name(session, ctx, name)
    if handler is not None and handler.published_version is not None:
        return []
    message = f"The client has no published workflow called {name}, so nothing would be started when a run fails."
    params = {"workflow": name}
    return [Problem("no_handler", message, field="error_handler.workflow", params=params, severity="warning")]


async def require_valid(session: AsyncSession, ctx: Context, document: Document, *, stored: bool = False) -> None:
    """Raise Invalid with every error of ``document`` (for ``stored`` see :func:`errors_in`); warnings pass."""
    refuse(errors_in(document, await surroundings_of(session, ctx), stored=stored))


def refuse(errors: Sequence[Problem]) -> None:
    """Raise Invalid where there are errors."""
    if errors:
        raise Invalid("Some things have to be mended first.", code="document_invalid", problems=list(errors))
