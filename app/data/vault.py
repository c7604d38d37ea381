"""The door to the vault. Each verb speaks of one client and uses a token that opens that client's corner only.

A secret is encrypted here under the client's own data key before it is sent, and the vault keeps that key wrapped by
the client's transit key: who reads the vault's storage, or a response, has neither. Plain keys and tokens live as long
as one call. hvac blocks, so each verb runs in a thread.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import UUID

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultDown, VaultError

from app.core import crypto
from app.core.errors import Missing, Unavailable
from app.core.settings import VaultLogin, get_settings
from app.data.vault_layout import CLIENT_POLICY, MOUNT, TOKEN_ROLE, TRANSIT

Part = Literal["web", "worker"]
T = TypeVar("T")
_TIMEOUT_S = 10
_CORNER_TTL = "60s"
_SIGN_IN_AGAIN_S = 60.0
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


class Vault:
    """One process's link to the vault. Raises Unavailable where it does not answer, Missing for what it lacks."""

    def __init__(self, url: str, login: VaultLogin, *, ca_file: Path | None = None) -> None:
        self._entrance = _Entrance(url, login, ca_file)

    async def ensure_client(self, client_id: UUID) -> None:
        """Make the client's transit key and data key. Idempotent; the first secret of a client does it too."""
        await self._in_thread(lambda: self._entrance.corner(client_id).data_key())

    async def put_credential(
        self, client_id: UUID, platform: str, connection_id: UUID, values: Mapping[str, str]
    ) -> str:
        """Keep a connection's secret fields. Returns their path, which is no secret."""
        path = credential_path(platform, connection_id)
        await self.put_secret(client_id, path, json.dumps(dict(values)))
        return f"tenant/{client_id}/{path}"

    async def get_credential(self, client_id: UUID, platform: str, connection_id: UUID) -> dict[str, str]:
        """A connection's secret fields."""
        found: dict[str, str] = json.loads(await self.get_secret(client_id, credential_path(platform, connection_id)))
        return found

    async def delete_credential(self, client_id: UUID, platform: str, connection_id: UUID) -> None:
        """Destroy every version of a connection's secret fields. Nothing happens where there are none."""
        await self.delete_secret(client_id, credential_path(platform, connection_id))

    async def put_secret(self, client_id: UUID, path: str, value: str) -> None:
        """Keep ``value`` under ``path`` of the client's corner, in place of what was there."""
        checked = _checked(path)
        await self._in_thread(lambda: self._entrance.corner(client_id).put(checked, value.encode()))

    async def get_secret(self, client_id: UUID, path: str) -> str:
        """What was kept under ``path``. Raises Missing, and Undecipherable where it was moved or changed."""
        checked = _checked(path)
        return (await self._in_thread(lambda: self._entrance.corner(client_id).get(checked))).decode()

    async def delete_secret(self, client_id: UUID, path: str) -> None:
        """Destroy every version of what is under ``path``."""
        checked = _checked(path)
        await self._in_thread(lambda: self._entrance.corner(client_id).delete(checked))

    async def encrypt(self, client_id: UUID, label: str, value: bytes) -> bytes:
        """Encrypt what is kept elsewhere (an account's TOTP secret) for this client and ``label`` only."""
        return await self._in_thread(lambda: self._entrance.corner(client_id).seal(label, value))

    async def decrypt(self, client_id: UUID, label: str, sealed: bytes) -> bytes:
        """The reverse of :meth:`encrypt`. Raises Undecipherable."""
        return await self._in_thread(lambda: self._entrance.corner(client_id).unseal(label, sealed))

    async def health(self) -> dict[str, Any]:
        """``{"initialized", "sealed", "version"}``. Raises Unavailable."""
        return await self._in_thread(self._entrance.health)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except (requests.RequestException, VaultDown) as error:
            raise Unavailable("The vault does not answer.", params={"part": "vault"}) from error
        except VaultError as error:
            raise Unavailable("The vault refused.", params={"part": "vault", "reason": type(error).__name__}) from error


def credential_path(platform: str, connection_id: UUID) -> str:
    """Where a connection's credential is in its client's corner."""
    return f"platforms/{platform}/{connection_id}"


def _checked(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not a path in the vault")
    return path


class _Entrance:
    """The process's own sign-in. It may mint tokens for one client at a time, and nothing else."""

    def __init__(self, url: str, login: VaultLogin, ca_file: Path | None) -> None:
        self._url = url
        self._login = login
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy from the environment must not see the vault's traffic
        self._session.verify = str(ca_file) if ca_file else True
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def client(self, token: str | None = None) -> hvac.Client:
        return hvac.Client(self._url, token=token, session=self._session, timeout=_TIMEOUT_S)

    def health(self) -> dict[str, Any]:
        answer = self._session.get(f"{self._url}/v1/sys/health?sealedcode=200&uninitcode=200", timeout=_TIMEOUT_S)
        found = answer.json()
        return {name: found.get(name) for name in ("initialized", "sealed", "version")}

    def corner(self, client_id: UUID) -> _Corner:
        """A fresh, short token for one client's corner, ready to use."""
        try:
            token = self._mint(client_id)
        except Forbidden:  # the sign-in was revoked or ended early
            self._until = 0.0
            token = self._mint(client_id)
        return _Corner(self.client(token), client_id)

    def _mint(self, client_id: UUID) -> str:
        asked = {"entity_alias": str(client_id), "policies": [CLIENT_POLICY], "ttl": _CORNER_TTL}
        answer = self.client(self._signed_in()).write_data(f"auth/token/create/{TOKEN_ROLE}", data=asked)
        token: str = answer["auth"]["client_token"]
        return token

    def _signed_in(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                secret_id = self._login.secret_id.get_secret_value()
                answer = self.client().auth.approle.login(self._login.role_id, secret_id, use_token=False)
                self._token = answer["auth"]["client_token"]
                self._until = time.monotonic() + max(answer["auth"]["lease_duration"] - _SIGN_IN_AGAIN_S, 1.0)
            return self._token


class _Corner:
    """What one client's token can do. Blocking."""

    def __init__(self, client: hvac.Client, client_id: UUID) -> None:
        self._client = client
        self._id = client_id

    def put(self, path: str, value: bytes) -> None:
        self._client.write_data(self._at(path), data={"data": {"sealed": self.seal(path, value).decode()}})

    def get(self, path: str) -> bytes:
        found = self._read(path)
        if found is None:
            raise Missing("secret")
        return self.unseal(path, found["sealed"].encode())

    def delete(self, path: str) -> None:
        self._client.delete(f"{MOUNT}/metadata/tenant/{self._id}/{path}")

    def seal(self, label: str, value: bytes) -> bytes:
        """An envelope: the wrapped key and what was encrypted with it, as JSON."""
        wrapped, key = self.data_key()
        data = crypto.encrypt(key, value, crypto.associated_data(self._id, label))
        return json.dumps({"v": 1, "key": wrapped, "data": crypto.encode(data)}).encode()

    def unseal(self, label: str, sealed: bytes) -> bytes:
        try:
            envelope = json.loads(sealed)
            data = crypto.decode(envelope["data"])
            key = self._unwrap(envelope["key"])
        except (ValueError, KeyError, InvalidRequest) as error:
            raise crypto.Undecipherable("This is not an envelope of this client.") from error
        return crypto.decrypt(key, data, crypto.associated_data(self._id, label))

    def data_key(self) -> tuple[str, bytes]:
        """The client's data key, wrapped and plain; made at the first call."""
        kept = self._read("data-key")
        if kept is None:
            return self._new_data_key()
        return kept["wrapped"], self._unwrap(kept["wrapped"])

    def _new_data_key(self) -> tuple[str, bytes]:
        self._client.write_data(f"{TRANSIT}/keys/{self._id}", data={"type": "aes256-gcm96"})
        made = self._client.write_data(f"{TRANSIT}/datakey/plaintext/{self._id}", data={"bits": 256})["data"]
        try:
            # cas 0: only if nobody was first, so that two processes never use two keys.
            body = {"data": {"wrapped": made["ciphertext"]}, "options": {"cas": 0}}
            self._client.write_data(self._at("data-key"), data=body)
        except InvalidRequest:
            return self.data_key()
        return made["ciphertext"], crypto.decode(made["plaintext"])

    def _unwrap(self, wrapped: str) -> bytes:
        answer = self._client.write_data(f"{TRANSIT}/decrypt/{self._id}", data={"ciphertext": wrapped})
        return crypto.decode(answer["data"]["plaintext"])

    def _read(self, path: str) -> dict[str, Any] | None:
        try:
            answer = self._client.read(self._at(path))
        except InvalidPath:
            return None
        found: dict[str, Any] | None = answer["data"]["data"] if answer else None
        return found

    def _at(self, path: str) -> str:
        return f"{MOUNT}/data/tenant/{self._id}/{path}"


@lru_cache(maxsize=4)
def _vault(url: str, role_id: str, login: VaultLogin, ca_file: Path | None) -> Vault:
    return Vault(url, login, ca_file=ca_file)


def get_vault(part: Part = "web") -> Vault:
    """The vault as this process signs in to it. Raises Unavailable where the deployment names none."""
    settings = get_settings()
    try:
        login = settings.vault_login(part)
    except (ValueError, OSError) as error:
        raise Unavailable("No vault is set up.", params={"part": "vault"}) from error
    return _vault(settings.vault_url, login.role_id, login, settings.vault_ca_file)
