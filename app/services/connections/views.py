"""What pages and the API see of connections: never a secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.data.models.connections import Connection
from connectors import registry
from connectors.base import Connector, PermissionReport
from connectors.errors import ConnectorError


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class PlatformView(_View):
    """A platform that can be connected, with the schema of its form. ``secret_fields`` go to the vault."""

    id: str
    title: dict[str, str]
    icon: str
    config_schema: dict[str, Any]
    secret_fields: list[str]


class TestResult(_View):
    """What a test of a connection found. ``error`` is set where the platform could not be reached or refused."""

    ok: bool
    tenant: str | None = None
    tenant_name: str = ""
    granted: list[str] = []
    missing: list[str] = []
    error: dict[str, Any] | None = None


class ConnectionView(_View):
    """A connection. ``state`` is untested, ok or failed."""

    id: UUID
    alias: str
    platform: str
    name: str
    config: dict[str, Any]
    platform_tenant: str | None
    state: str
    last_test: TestResult | None
    tested_at: datetime | None
    created_at: datetime
    revision: int


def view_of(row: Connection) -> ConnectionView:
    """A row as it is shown."""
    found = {name: getattr(row, name) for name in ConnectionView.model_fields if name != "last_test"}
    return ConnectionView(**found, last_test=TestResult(**row.last_test) if row.last_test else None)


def platforms() -> list[PlatformView]:
    """Every platform that can be connected, in the order of the registry."""
    return [_platform(registry.connector(name)) for name in registry.CONNECTORS]


def _platform(found: Connector) -> PlatformView:
    return PlatformView(
        id=found.id,
        title=found.title.as_json(),
        icon=found.icon,
        config_schema=found.Config.model_json_schema(),
        secret_fields=sorted(found.secret_fields()),
    )


def passed(report: PermissionReport) -> TestResult:
    """A test in which the platform answered; permissions may still be missing."""
    return TestResult(
        ok=True,
        tenant=report.tenant,
        tenant_name=report.tenant_name,
        granted=list(report.granted),
        missing=list(report.missing),
    )


def failed(error: ConnectorError) -> TestResult:
    """A test in which the platform refused or did not answer."""
    return TestResult(ok=False, error=error.as_json())
