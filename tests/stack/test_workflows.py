"""Workflows as the services give them: edited, saved and published by whom, also by staff of the MSP."""

from __future__ import annotations

from app.services import workflows
from tests.stack.people import World

DOCUMENT = {"schema": "opsloom/workflow@1", "name": "Named", "nodes": [{"id": "a", "type": "flow.noop"}]}


async def test_whose_work_it_is_is_said_by_name_inside_a_clients_walls(world: World) -> None:
    engineer, owner = await world.context("engineer"), await world.context("owner")
    made = await workflows.import_document(engineer, document=DOCUMENT)
    (row,) = [row for row in await workflows.list_workflows(owner) if row.id == made.id]
    (version,) = await workflows.versions(owner, made.id)
    assert row.edited_by == (await workflows.get(owner, made.id)).edited_by == "Engineer"
    assert (version.author, version.published_by) == ("Engineer", "Engineer")
