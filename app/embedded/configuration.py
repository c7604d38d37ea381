"""settings.json: what the embedded stack tells the processes of the product."""

from __future__ import annotations

from typing import Any

from app.core.files import write_json
from app.core.settings import Settings
from app.embedded import openbao, postgres, valkey
from app.embedded.layout import Layout
from app.embedded.state import State


def settings_values(
    layout: Layout, state: State, *, database: str = postgres.DATABASE, redis_database: int = 0
) -> dict[str, Any]:
    """The settings that follow from what the stack chose, as JSON values."""
    roles = ("web", "worker", "scheduler", "migrate")
    return {
        "environment": "demo",
        **{f"database_url_{role}": postgres.nearest_dsn(layout, state, f"opsloom_{role}", database) for role in roles},
        "redis_url": valkey.nearest_url(layout, state, redis_database),
        "vault_url": openbao.url(state),
        "vault_credentials_web": str(openbao.credentials(layout, "web")),
        "vault_credentials_worker": str(openbao.credentials(layout, "worker")),
        "audit_signing_key": str(layout.keys / "audit-signing.pem"),
    }


def write_settings(layout: Layout, state: State, **more: Any) -> Settings:
    """Write settings.json and give the settings as a process of the product will read them."""
    write_json(layout.settings_file, {**settings_values(layout, state), **more})
    return Settings(home=layout.home)
