"""Brings the vault's set-up (:mod:`app.data.vault_layout`) into a server, and the root token back when it changes."""

from __future__ import annotations

import base64
import hashlib
import inspect
from pathlib import Path

import hvac

from app.core.files import write_json
from app.data import vault_layout


def version() -> str:
    """Differs whenever the set-up's source does, so that an older installation is brought up to date."""
    return hashlib.sha256(inspect.getsource(vault_layout).encode()).hexdigest()[:12]


def set_up(url: str, root_token: str, files: dict[str, Path]) -> None:
    """Make mounts, policies, roles and credentials, and write each process's credential into its file.

    A credential given before stays valid. Raises hvac's VaultError.
    """
    for process, login in vault_layout.configure(hvac.Client(url, token=root_token)).items():
        write_json(files[process], login)


def revoke(url: str, root_token: str) -> None:
    """End a root token."""
    hvac.Client(url, token=root_token).auth.token.revoke_self()


def regain_root(url: str, recovery_key: str) -> str:
    """A new root token out of the recovery key, for an upgrade of the set-up. The caller revokes it."""
    vault = hvac.Client(url)
    vault.sys.cancel_root_generation()
    begun = vault.sys.start_root_token_generation()
    done = vault.sys.generate_root(key=recovery_key, nonce=begun["nonce"])
    encoded = done.get("encoded_root_token") or done["encoded_token"]
    masked = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(a ^ b for a, b in zip(masked, begun["otp"].encode(), strict=True)).decode()
