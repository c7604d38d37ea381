"""What was started last: the same version among the same connections is started again without being read again.

Whether it is the same still is for the database to say, in the statement that stores the run.
"""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from app.core.context import Context
from app.data.repositories.version_ground import marking
from app.data.trips import Ask
from app.services.start_documents import Chosen
from app.services.start_keys import Asked
from app.services.workflow_versions import as_id

_MOST = 128
_UNUSED = "NOT EXISTS (SELECT FROM runs e WHERE e.client_id = %s AND e.idempotency_key = %s)"
_known: OrderedDict[tuple[UUID, str, int | None], Chosen] = OrderedDict()


def last_chosen(ctx: Context, asked: Asked, number: int | None) -> Chosen | None:
    """What such a start, of the version of that number or of the published one, has chosen last in this process."""
    key = (ctx.client_id, str(asked.workflow), number)
    if key in _known:
        _known.move_to_end(key)
    return _known.get(key)


def remember(ctx: Context, asked: Asked, number: int | None, chosen: Chosen) -> None:
    """Keep it for the next start, unless it is large."""
    if chosen.is_kept:
        _known[(ctx.client_id, str(asked.workflow), number)] = chosen
        while len(_known) > _MOST:
            _known.popitem(last=False)


def still_so(ctx: Context, asked: Asked, number: int | None, chosen: Chosen) -> Ask:
    """The condition that what was chosen would be chosen now, and that the key has started nothing yet."""
    mark = marking(ctx.client_id, as_id(asked.workflow) or str(asked.workflow), number)
    same = Ask(f"({mark.statement}) = %s", (*mark.values, chosen.mark))
    if not asked.key:
        return same
    return Ask(f"{same.statement} AND {_UNUSED}", (*same.values, ctx.client_id, asked.key))
