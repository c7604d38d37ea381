"""Takes a batch of operations into the draft: applied once, in order, on the revision that they were made for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from app.builder.ops import apply_all, check_size
from app.core.context import Context
from app.core.errors import Invalid, Stale
from app.services import workflow_views, workflows

Json = dict[str, Any]
_KEPT_DRAFTS = 64


class Drafts:
    """The drafts that this process saved last, by client, workflow and revision.

    It spares reading a draft before each edit. Nothing is decided by it: the database refuses to save over another
    revision than the one the edit was made on.
    """

    def __init__(self, most: int = _KEPT_DRAFTS) -> None:
        self._kept: OrderedDict[tuple[UUID, UUID], tuple[int, Json]] = OrderedDict()
        self._most = most

    def get(self, client: UUID, workflow: UUID, revision: int) -> Json | None:
        kept = self._kept.get((client, workflow))
        return kept[1] if kept and kept[0] == revision else None

    def keep(self, client: UUID, workflow: UUID, revision: int, document: Json) -> None:
        self._kept[client, workflow] = (revision, document)
        self._kept.move_to_end((client, workflow))
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


drafts = Drafts()


async def take(
    ctx: Context, workflow: UUID, ops: Sequence[Json], base: int, known: Collection[str]
) -> tuple[Json, Json | None]:
    """The message to the browser, and the document where it changed.

    ``base`` is the revision that the operations were made on, ``known`` the ids of operations that were taken before:
    a batch that comes again because its answer was lost has no second effect. The message is ``saved``, ``refused``
    with what is wrong, or ``stale`` with the draft that is there now and the operations it already holds.
    """
    ids = [op.get("id", "") for op in ops]
    try:
        check_size(ops)
        document = drafts.get(ctx.client_id, workflow, base)
        if document is None:
            view = await workflows.get(ctx, workflow)
            if view.revision != base:
                return _stale(view, ids, known), None
            document = view.draft
        fresh = [op for op in ops if op.get("id") not in known]
        changed = apply_all(document, fresh)
        revision = await workflows.save_draft(ctx, workflow, document=changed, revision=base) if fresh else base
    except Stale:
        return _stale(await workflows.get(ctx, workflow), ids, known), None
    except Invalid as error:
        return {"kind": "refused", "ops": ids, **error.as_problem()}, None
    drafts.keep(ctx.client_id, workflow, revision, changed)
    return {"kind": "saved", "ops": ids, "revision": revision}, changed


def _stale(view: workflow_views.WorkflowView, ids: Sequence[str], known: Collection[str]) -> Json:
    return {
        "kind": "stale",
        "revision": view.revision,
        "document": view.draft,
        "by": view.edited_by,
        "at": view.edited_at.isoformat(),
        "applied": [one for one in ids if one in known],
    }
