"""What a connector gives the contract suite: a simulator that is running, and a sample call of every action.

Each connector has ``connectors/<platform>/testing.py`` with one function ``sandbox()``, a context manager that starts
the platform's simulator on a free port of loopback and yields a :class:`Sandbox`. The suite in
``tests/contract/test_suite.py`` runs over every connector of the registry and every action; an action without a sample
fails it.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
from pydantic import BaseModel, SecretStr

from connectors.base import (
    Action,
    Applied,
    Attempt,
    Client,
    Connector,
    Environment,
    Json,
    Output,
    Planned,
    ReadAction,
    World,
    WriteAction,
)

# Top-level packages of the vendors' SDKs: the registry and the manifests import none of them.
SDKS = frozenset(
    {"boto3", "botocore", "moto", "msgraph", "kiota_abstractions", "azure", "msal", "google", "googleapiclient"}
    | {"pyVmomi", "vmware", "proxmoxer", "pypsrp", "psrpcore"}
)


class SimulatorControl:
    """The control routes that every simulator serves under ``/_sim`` beside the platform's own.

    ======================  ===========================================================================================
    ``GET    /_sim/health`` ``{"ready": true, …}`` once it answers
    ``GET    /_sim/dump``   everything a write can change, as canonical JSON; ``?tenant=`` picks one
    ``POST   /_sim/seed``   make tenants, as the simulator's own control page says; gives ``{"tenants": […]}``
    ``POST   /_sim/reset``  forget tenants, faults and log
    ``GET    /_sim/log``    ``{"log": [{seq, at, tenant, method, path, write, changed, status, faults, …}]}``
    ``DELETE /_sim/log``    forget them
    ``POST   /_sim/faults`` set one fault and get its ``id``; ``GET`` lists them, ``DELETE [/id]`` removes them
    ======================  ===========================================================================================

    ``ca_file`` vouches for a simulator that speaks HTTPS.
    """

    def __init__(self, url: str, ca_file: str | Path | None = None) -> None:
        self.url = url.rstrip("/")
        self._verify: Any = ssl.create_default_context(cafile=str(ca_file)) if ca_file else False

    def dump(self, tenant: str | None = None) -> Json:
        """The simulator's state, comparable with ``==`` before and after."""
        return cast(Json, self._call("GET", "dump", params={"tenant": tenant} if tenant else {}).json())

    def seed(self, body: Json) -> list[Json]:
        """Make tenants; gives what signs in to each."""
        return cast(list[Json], self._call("POST", "seed", json=body).json()["tenants"])

    def reset(self) -> None:
        """Forget everything."""
        self._call("POST", "reset")

    def log(self) -> list[Json]:
        """Every request of the platform's protocol since the last ``clear_log`` or ``reset``, oldest first."""
        return cast(list[Json], self._call("GET", "log").json()["log"])

    def writes(self) -> list[Json]:
        """The requests that would change something, whether or not they did."""
        return [record for record in self.log() if record["write"]]

    def wait_for_write(self, path: str, *, seconds: float = 30.0) -> Json:
        """The first request whose path matches and that did change something, as soon as it is there.

        With a ``timeout`` fault set, this is the moment at which the platform has acted and nobody has heard of it.
        Raises TimeoutError.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for record in self.writes():
                if record["changed"] and re.search(path, record["path"]):
                    return record
            time.sleep(0.05)
        raise TimeoutError(f"no write to {path} within {seconds} s")

    def clear_log(self) -> None:
        self._call("DELETE", "log")

    def fault(self, kind: str, **fields: Any) -> int:
        """Set a fault and give its id: for the next matching request, or for ``times`` (None: until removed).

        ``throttle`` (``retry_after``), ``error`` (``status``, ``code``), ``drop`` and ``timeout`` (``when`` the work is
        done, ``after`` or ``before``; ``seconds`` of silence), ``slow`` (``seconds``). ``path`` is a regular expression
        that is searched for; ``method``, ``tenant`` and ``writes`` narrow it further, ``every`` lets some pass.
        """
        return int(self._call("POST", "faults", json={"kind": kind, **fields}).json()["id"])

    def faults(self) -> list[Json]:
        """The faults that are set, with how often each was ``met`` and ``done``."""
        return cast(list[Json], self._call("GET", "faults").json()["faults"])

    def clear_faults(self) -> None:
        """Remove every fault, which lets go of what it holds."""
        self._call("DELETE", "faults")

    def _call(self, method: str, route: str, **kwargs: Any) -> httpx.Response:
        address = f"{self.url}/_sim/{route}"
        answer = httpx.request(method, address, timeout=30, trust_env=False, verify=self._verify, **kwargs)
        if answer.is_error:
            raise RuntimeError(f"{method} {address} was answered {answer.status_code}: {answer.text}")
        return answer


@dataclass
class Bench:
    """A client opened on a sandbox, and short ways to call actions through it."""

    sandbox: Sandbox
    client: Client

    def action(self, action_id: str) -> Action[Any, Any]:
        return next(kind() for kind in self.sandbox.connector.actions if kind.id == action_id)

    async def read(self, action_id: str, params: Json | None = None) -> Output:
        """Call the read action ``action_id``."""
        action = cast("ReadAction[Any, Any]", self.action(action_id))
        return await action.read(self.client, action.Params(**(params or {})))

    async def plan(self, action_id: str, params: Json, world: World | None = None) -> Planned:
        """Plan the write action ``action_id``."""
        action = cast("WriteAction[Any, Any]", self.action(action_id))
        return await action.plan(self.client, action.Params(**params), world or World())

    async def do(self, action_id: str, params: Json) -> Applied:
        """Plan and apply the write action ``action_id`` at once."""
        action = cast("WriteAction[Any, Any]", self.action(action_id))
        planned = await self.plan(action_id, params)
        if not planned.change.writes:
            return Applied(change=planned.change, output=planned.output)
        return await action.apply(self.client, action.Params(**params), planned.change, new_attempt(action))


Prepare = Callable[[Bench], Awaitable[Json]]


@dataclass(frozen=True)
class Sample:
    """One call of one action that does something when the simulator is in its seeded state.

    ``params`` are the parameters, or a coroutine function that brings the simulator into the state the action needs
    (a user to disable) and returns them. ``missing`` are parameters that speak of something that is not there:
    ``NotFound`` is expected. ``rejected`` are parameters that the platform, or the action's plan, refuses:
    ``Rejected`` or ``Conflict`` is expected. ``settles`` is False for an action that acts every time it is run, even
    when repeated (revoking sessions): its second plan is then not expected to be ``none``. ``asks`` is False for one
    that asks nobody while it plans: wrong credentials are then named by ``apply``. ``traceable`` is False where nobody
    can look up what a lost attempt did: the end is then ``OutcomeUnknown``, and nothing is sent a second time.
    """

    params: Json | Prepare
    missing: Json | None = None
    rejected: Json | None = None
    settles: bool = True
    asks: bool = True
    traceable: bool = True


@dataclass(frozen=True)
class Sandbox:
    """A running simulator and what is needed to use it through the connector.

    ``config`` signs in and may do everything; ``wrong_config`` is well-formed but refused (a wrong secret);
    ``poor_config`` signs in and lacks at least one permission (None where the platform knows no such thing).
    ``seed`` is posted to ``/_sim/seed`` after a reset; it must bring back the same tenants with the same credentials.
    """

    connector: Connector
    environment: Environment
    control: SimulatorControl
    config: BaseModel
    wrong_config: BaseModel
    samples: Mapping[str, Sample]
    seed: Json = field(repr=False)
    poor_config: BaseModel | None = None

    def reset(self) -> None:
        """Back to the seeded state, without faults and with an empty log."""
        self.control.reset()
        self.control.seed(self.seed)
        self.control.clear_log()

    def open(self, config: BaseModel | None = None, client_id: UUID | None = None) -> Client:
        """A client for a new ``client_id`` (or the one given), with ``config`` or the good one."""
        return self.connector.open(client_id or uuid4(), config or self.config, self.environment)


def sandbox_of(platform: str) -> AbstractContextManager[Sandbox]:
    """The sandbox of ``platform``, to be entered. Raises ImportError where the connector ships none."""
    found = import_module(f"connectors.{platform}.testing").sandbox()
    return cast("AbstractContextManager[Sandbox]", found)


def new_attempt(action: Action[Any, Any], *, key: str | None = None, seconds: float = 60.0) -> Attempt:
    """An attempt as the engine makes it: its own key, generated secrets and a deadline ``seconds`` from now."""
    made = {spec.name: SecretStr(spec.generate()) for spec in getattr(action, "secrets", ())}
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    return Attempt(key=key or str(uuid4()), number=1, deadline=deadline, secrets=made)


async def params_of(sample: Sample, bench: Bench) -> Json:
    """The sample's parameters, once the simulator is in the state that they need."""
    return await sample.params(bench) if callable(sample.params) else dict(sample.params)
