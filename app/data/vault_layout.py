"""What the vault holds and who may read it. Run once with the root token, and again after an upgrade: it is idempotent.

Every client has one corner: the paths under ``tenant/{client_id}/`` and a transit key that bears its id. One policy is
written for all of them: OpenBao fills the client's id into it from the token's entity alias. So no process of ours may
write policies, and a token minted for one client opens that client's corner only. The web application and the workers
themselves may do one thing: mint such tokens.
"""

from __future__ import annotations

from typing import Any

import hvac

MOUNT = "opsloom"
TRANSIT = "transit"
CLIENT_POLICY = "opsloom-client"
TOKEN_ROLE = "opsloom-client"  # noqa: S105 - the name of a role
PARTS = ("web", "worker")
_SIGN_IN_LASTS = "1h"

_MINT_ONLY = f"""
path "auth/token/create/{TOKEN_ROLE}" {{ capabilities = ["update"] }}
path "auth/token/renew-self" {{ capabilities = ["update"] }}
"""


def client_policy(token_accessor: str) -> str:
    """The policy of one client's corner. ``token_accessor`` is the accessor of the ``token/`` sign-in method."""
    client = f"{{{{identity.entity.aliases.{token_accessor}.name}}}}"
    return f"""
path "{MOUNT}/data/tenant/{client}/*" {{ capabilities = ["create", "read", "update"] }}
path "{MOUNT}/metadata/tenant/{client}/*" {{ capabilities = ["read", "list", "delete"] }}
path "{TRANSIT}/keys/{client}" {{ capabilities = ["create", "update"] }}
path "{TRANSIT}/datakey/plaintext/{client}" {{ capabilities = ["update"] }}
path "{TRANSIT}/decrypt/{client}" {{ capabilities = ["update"] }}
path "{TRANSIT}/rewrap/{client}" {{ capabilities = ["update"] }}
"""


def configure(root: hvac.Client) -> dict[str, dict[str, str]]:
    """Make mounts, policies, the token role and the approles, and give each part a fresh credential.

    ``root`` is signed in with the root token. Returns ``{"web": {"role_id", "secret_id"}, "worker": {...}}``: what goes
    into the files that ``vault_credentials_web`` and ``vault_credentials_worker`` name. Raises hvac's VaultError.
    """
    _mount(root)
    accessor = _data(root.sys.list_auth_methods())["token/"]["accessor"]
    root.sys.create_or_update_policy(CLIENT_POLICY, policy=client_policy(accessor))
    root.write_data(
        f"auth/token/roles/{TOKEN_ROLE}",
        data={
            "allowed_policies": [CLIENT_POLICY],
            "allowed_entity_aliases": ["*"],
            "orphan": True,
            "renewable": False,
            "token_type": "batch",
            "token_no_default_policy": True,
        },
    )
    return {part: _approle(root, part) for part in PARTS}


def _mount(root: hvac.Client) -> None:
    mounted = _data(root.sys.list_mounted_secrets_engines())
    if f"{TRANSIT}/" not in mounted:
        root.sys.enable_secrets_engine("transit", path=TRANSIT)
    if f"{MOUNT}/" not in mounted:
        root.sys.enable_secrets_engine("kv", path=MOUNT, options={"version": "2"})
    if "approle/" not in _data(root.sys.list_auth_methods()):
        root.sys.enable_auth_method("approle")


def _approle(root: hvac.Client, part: str) -> dict[str, str]:
    name = f"opsloom-{part}"
    root.sys.create_or_update_policy(name, policy=_MINT_ONLY)
    root.auth.approle.create_or_update_approle(
        name,
        token_policies=[name],
        token_ttl=_SIGN_IN_LASTS,
        token_max_ttl=_SIGN_IN_LASTS,
        token_no_default_policy=True,
        bind_secret_id=True,
    )
    role_id = _data(root.auth.approle.read_role_id(name))["role_id"]
    secret_id = _data(root.auth.approle.generate_secret_id(name))["secret_id"]
    return {"role_id": role_id, "secret_id": secret_id}


def _data(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer["data"]
    return found
