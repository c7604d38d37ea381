"""What a deployment decides. docs/settings.md explains each field to whoever sets it.

A value comes from the first of: an ``OPSLOOM_*`` environment variable, ``settings.json`` in OPSLOOM_HOME (written by
the embedded stack, readable by its owner only), the default below.
"""

from __future__ import annotations

import json
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from app.core.home import home as default_home

Network = IPv4Network | IPv6Network
Role = Literal["web", "worker", "scheduler", "migrate"]
SETTINGS_FILE = "settings.json"


class VaultLogin(BaseModel):
    """The approle credential of one process."""

    model_config = ConfigDict(frozen=True)

    role_id: str
    secret_id: SecretStr


class Settings(BaseSettings):
    """Every setting. Addresses carry their password, so they stay out of ``repr``; never log one."""

    model_config = SettingsConfigDict(env_prefix="OPSLOOM_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=default_home, description="Data of the embedded stack, keys and logs.")
    environment: Literal["demo", "production"] = Field(
        default="production", description="`demo` where the embedded stack is local; allows making tokens and codes."
    )
    port: int = Field(default=3000, ge=1, le=65535, description="Port of the web application.")
    host: str = Field(default="127.0.0.1", description="Address the web application listens on.")
    base_url: str = Field(default="", description="Address people use; links in messages start with it.")
    cors_origins: list[str] = Field(default_factory=list, description="Origins that may open the page's websocket.")
    trusted_proxies: list[Network] = Field(
        default_factory=list, description="Networks of the proxies whose X-Forwarded-For is believed."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")

    database_url_web: str = Field(default="", repr=False, description="PostgreSQL as opsloom_web.")
    database_url_worker: str = Field(default="", repr=False, description="PostgreSQL as opsloom_worker.")
    database_url_scheduler: str = Field(default="", repr=False, description="PostgreSQL as opsloom_scheduler.")
    database_url_migrate: str = Field(default="", repr=False, description="PostgreSQL as opsloom_migrate.")
    database_replica_url_web: str = Field(default="", repr=False, description="A replica for lists, as opsloom_web.")
    database_pool_size: int = Field(default=10, ge=1, description="Most connections one process keeps.")
    database_prepares: bool | None = Field(
        default=None, description="Prepare statements that come often; unset: unless a pooler is in between."
    )

    worker_awake_us: int = Field(
        default=1000, ge=0, description="Microseconds that a worker waits for an answer of PostgreSQL without sleeping."
    )

    redis_url: str = Field(default="", repr=False, description="Redis, for what may be lost: wake-ups, counters, UI.")

    vault_url: str = Field(default="", description="Vault or OpenBao, without a path.")
    vault_credentials_web: Path | None = Field(default=None, description="Approle file of the web process.")
    vault_credentials_worker: Path | None = Field(default=None, description="Approle file of the workers.")
    vault_ca_file: Path | None = Field(default=None, description="Certificates that vouch for the vault's.")
    audit_signing_key: Path | None = Field(default=None, description="Ed25519 private key (PEM) of audit checkpoints.")

    session_idle_s: int = Field(default=1800, ge=60, description="Seconds without a request that end a session.")
    session_absolute_s: int = Field(default=43200, ge=300, description="Seconds after which a session ends anyhow.")

    api_rate_per_minute: int = Field(default=3000, ge=1, description="Requests a minute of one token or session.")
    unsigned_rate_per_minute: int = Field(default=300, ge=1, description="Requests a minute of one address, unsigned.")

    history_days: int = Field(
        default=400, ge=1, description="Days that a run's steps are kept before they are archived."
    )
    archive_dir: Path | None = Field(default=None, description="Folder of archived history; else in OPSLOOM_HOME.")

    web_workers: int = Field(default=1, ge=1, description="Processes of the web application.")
    workers: int = Field(default=2, ge=0, description="Worker processes that the embedded stack starts.")
    endpoints: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Addresses of simulators instead of the vendors', by platform and name."
    )
    private_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="Private networks that HTTP, mail and webhook connections may lead to."
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, values: Any) -> Any:
        return [ip_network(value) for value in values] if isinstance(values, list) else values

    @model_validator(mode="before")
    @classmethod
    def _derive_addresses(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The base address defaults to loopback on the chosen port, and only it may open the websocket."""
        if not values.get("base_url"):
            values["base_url"] = f"http://localhost:{values.get('port') or 3000}"
        if not values.get("cors_origins"):
            values["cors_origins"] = [values["base_url"]]
        return values

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, InitSettingsSource(settings_cls, _from_file(init_settings))

    @property
    def archive_folder(self) -> Path:
        """Where archived history is."""
        return self.archive_dir or self.home / "archive"

    def database_url(self, role: Role) -> str:
        """The address of PostgreSQL for ``role``. Raises ValueError where it is not set."""
        url: str = getattr(self, f"database_url_{role}")
        if not url:
            raise ValueError(f"OPSLOOM_DATABASE_URL_{role.upper()} is not set")
        return url

    def vault_login(self, role: Literal["web", "worker"]) -> VaultLogin:
        """The approle credential of ``role``. Raises ValueError where it is not set, OSError where it is not there."""
        path: Path | None = getattr(self, f"vault_credentials_{role}")
        if path is None:
            raise ValueError(f"OPSLOOM_VAULT_CREDENTIALS_{role.upper()} is not set")
        return VaultLogin.model_validate_json(path.read_text())


def _from_file(init: PydanticBaseSettingsSource) -> dict[str, Any]:
    """What the embedded stack wrote, or nothing."""
    folder = Path(init().get("home") or default_home())
    try:
        return dict(json.loads((folder / SETTINGS_FILE).read_text()))
    except FileNotFoundError:
        return {}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once. Raises pydantic.ValidationError naming the wrong variable."""
    return Settings()
