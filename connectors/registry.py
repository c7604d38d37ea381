"""The connectors there are. Adding one is one line here; importing this module imports no vendor's SDK."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from connectors.base import Action, Connector

# Each entry is "module:class"; the module holds the manifest and imports its SDK only when a client is used.
CONNECTORS = {
    "m365": "connectors.m365.connector:M365",
    "aws": "connectors.aws.connector:Aws",
    "http": "connectors.http.connector:Http",
    "mail": "connectors.mail.connector:Mail",
    "webhook": "connectors.webhook.connector:Webhook",
}


@cache
def connector(platform: str) -> Connector:
    """The connector of ``platform``. Raises KeyError where there is none."""
    module, _, name = CONNECTORS[platform].partition(":")
    found: Connector = getattr(import_module(module), name)()
    return found


@cache
def actions() -> dict[str, Action[Any, Any]]:
    """Every action of every connector, by its id."""
    return {kind.id: kind() for platform in CONNECTORS for kind in connector(platform).actions}
