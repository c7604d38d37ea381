"""What a start stands on: a version of a workflow, and the connections and variables of its client."""

from __future__ import annotations

from uuid import UUID

from app.data.trips import Ask

_GROUND = """
SELECT w.id, w.name, v.version, v.hash, v.document, c.variables,
       (SELECT jsonb_object_agg(n.alias, n.platform)
          FROM connections n WHERE n.client_id = c.client_id AND n.removed_at IS NULL) AS connections
  FROM clients c
  JOIN workflows w ON w.client_id = c.client_id
  LEFT JOIN workflow_versions v
    ON v.client_id = w.client_id AND v.workflow_id = w.id AND v.version = coalesce(%s::integer, w.published_version)
 WHERE c.client_id = %s AND """
_BY_ID = f"{_GROUND} w.id = %s"
_BY_NAME = f"{_GROUND} w.name = %s AND w.archived_at IS NULL"
_MARK = "sha256(convert_to(jsonb_build_array(g.id, g.version, g.hash, g.variables, g.connections)::text, 'UTF8'))"
# S608: the statements are put together of this module's own constants.
_READ_BY_ID, _READ_BY_NAME = (f"SELECT g.*, {_MARK} FROM ({found}) AS g" for found in (_BY_ID, _BY_NAME))  # noqa: S608
_MARK_BY_ID, _MARK_BY_NAME = (f"SELECT {_MARK} FROM ({found}) AS g" for found in (_BY_ID, _BY_NAME))  # noqa: S608


def reading(client_id: UUID, workflow: UUID | str, number: int | None) -> Ask:
    """Reads the workflow of an id, or of a name where it is a text, with its version of that number, or with the
    published one.

    Gives one row or none: the workflow's id and name; the version's number, hash and document, NULL where there is
    none; the client's variables, the platform of each connection by alias, and the mark of :func:`marking`.
    """
    return Ask(_READ_BY_ID if isinstance(workflow, UUID) else _READ_BY_NAME, (number, client_id, workflow))


def marking(client_id: UUID, workflow: UUID | str, number: int | None) -> Ask:
    """Gives a digest of all of that on which a start depends: while it is the same, so is what a start would read."""
    return Ask(_MARK_BY_ID if isinstance(workflow, UUID) else _MARK_BY_NAME, (number, client_id, workflow))
