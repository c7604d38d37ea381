"""The demonstration's data, made by the product's own verbs at the first start."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from app.core.settings import Settings

_MODULE = "app.services.demo"


def seed(settings: Settings) -> list[dict[str, Any]]:
    """Have the demonstration's clients, accounts and workflows. Gives the accounts, of an earlier call too."""
    if find_spec(_MODULE) is None:
        return []
    accounts: list[dict[str, Any]] = asyncio.run(import_module(_MODULE).seed(settings))
    return accounts


def show(settings: Settings) -> bool:
    """Have one finished run to look at, once workers are up. False where there was one already."""
    return find_spec(_MODULE) is not None and asyncio.run(import_module(_MODULE).show(settings))
