"""A client's links to its platforms: manage them, open them for a run, and look through them for a form's choices."""

from app.services.connections.lookup import choices
from app.services.connections.manage import add, get, list_connections, remove, test, update
from app.services.connections.platform import PlatformRefused, open_client
from app.services.connections.views import ConnectionView, PlatformView, TestResult, platforms

__all__ = [
    "ConnectionView",
    "PlatformRefused",
    "PlatformView",
    "TestResult",
    "add",
    "choices",
    "get",
    "list_connections",
    "open_client",
    "platforms",
    "remove",
    "test",
    "update",
]
