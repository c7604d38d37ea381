"""Whose trouble an error is: a step's own, which its run shows, or ours, which ends the walk and is walked again."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from app.data.session import CommitUnknown
from app.engine.runtime.dispatch import FenceLost
from app.engine.runtime.journal import JournalLost

# A step that meets one of these has not failed: nobody could write down what it did.
OURS = (FenceLost, JournalLost, CommitUnknown, psycopg.Error, DBAPIError)
_AWAY = (CommitUnknown, psycopg.OperationalError, psycopg.InterfaceError, OperationalError, InterfaceError, OSError)


def is_away(error: BaseException | None) -> bool:
    """Whether the database was away (or chose us to end a deadlock): to be tried again however often it happens."""
    while error is not None:
        if isinstance(error, _AWAY):
            return True
        error = error.__cause__
    return False
