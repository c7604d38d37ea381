"""What tests of the engine share: a client with connections to simulators, workers as real processes, and waiting."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from pydantic import SecretStr

from app.core.context import Actor, Context
from app.core.ids import new_id
from app.core.run_states import OVER
from app.core.settings import get_settings
from app.services import accounts, clients, connections, runs, workflow_views, workflows
from app.services.run_views import ApprovalView, RunView
from connectors.testing import Bench, Sandbox, params_of
from tests.servers import TestStack

Json = dict[str, Any]


@dataclass
class Tenant:
    """A client with an owner, an engineer and an approver, as contexts in which services are called."""

    owner: Context
    engineer: Context
    approver: Context

    @property
    def client_id(self) -> UUID:
        return self.owner.client_id

    async def publish(self, document: Json) -> workflow_views.Imported:
        return await workflows.import_document(self.engineer, document=document)

    async def connect(self, sandbox: Sandbox, alias: str | None = None) -> None:
        """A connection to the sandbox's tenant."""
        config = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in sandbox.config
            if value is not None
        }
        platform = sandbox.connector.id
        await connections.add(self.owner, alias=alias or platform, platform=platform, name=platform, config=config)


async def make_tenant(policy: Json | None = None) -> Tenant:
    """A new client. The default policy lets everything pass that is not of high risk."""
    setup = clients.system_context("setup", new_id()).actor
    mark = new_id().hex[-10:]
    made = await clients.add_client(setup, slug=f"tenant-{mark}", name=f"Tenant {mark}", is_msp=False)
    here = clients.system_context("setup", made.id, made.slug)
    found: dict[str, Context] = {}
    for role in ("owner", "engineer", "approver"):
        person = await accounts.create(here, email=f"{role}-{mark}@test.example", name=role.title(), role=role)
        actor = Actor(account_id=person.id, email=person.email, name=person.name)
        found[role] = await clients.enter(actor, made.slug)
    if policy is not None:
        await clients.update_policy(found["owner"], policy=policy)
    return Tenant(**found)


NO_POLICY: Json = {"rules": []}


@dataclass
class Worker:
    """A worker process, as ``opsloom worker`` starts it."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self) -> int:
        """SIGTERM, and its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=40)


@dataclass
class Workers:
    """Starts workers that lead their connections to the simulators, and ends those that are left.

    ``more`` is added to the environment of those that are started.
    """

    stack: TestStack
    folder: Path
    started: list[Worker] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)

    def start(self, count: int = 1) -> list[Worker]:
        fresh = [self._start() for _ in range(count)]
        self.started += fresh
        for worker in fresh:
            self._wait_for(worker)
        return fresh

    def _wait_for(self, worker: Worker) -> None:
        """Wait until it is ready, or ends. Raises AssertionError with the end of its log."""
        try:
            wait_until(lambda: self._is_up(worker), 60, f"{worker.log} to be ready")
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.more}:\n{worker.log.read_text()[-3000:]}") from None

    def _is_up(self, worker: Worker) -> bool:
        assert worker.process.poll() is None, f"the worker has ended with {worker.process.returncode}"
        return b"worker.ready" in worker.log.read_bytes()

    def _start(self) -> Worker:
        log = self.folder / f"worker-{len(self.started)}-{time.monotonic_ns()}.log"
        environment = {**os.environ, **self.stack.environment(), **self.more}
        environment["OPSLOOM_ENDPOINTS"] = json.dumps(get_settings().endpoints)
        with log.open("wb") as out:
            command = [sys.executable, "-m", "app.cli", "worker"]
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        return Worker(process, log)

    def close(self) -> None:
        for worker in self.started:
            if worker.process.poll() is None:
                worker.kill()


@dataclass
class Relay(Workers):
    """Workers of which one lives at a time: starting one takes seconds, so a test inherits the one before's."""

    @property
    def runner(self) -> Worker:
        """The worker that lives."""
        living = [worker for worker in self.started if worker.process.poll() is None]
        return living[-1] if living else self.start()[0]

    def replace(self) -> Worker:
        """kill -9 the one that lives, and start another."""
        self.runner.kill()
        return self.runner


@contextmanager
def leading_to(*sandboxes: Sandbox) -> Iterator[None]:
    """Lead this process's connections to the simulators of ``sandboxes``."""
    endpoints = get_settings().endpoints
    former = dict(endpoints)
    endpoints.update({sandbox.connector.id: dict(sandbox.environment.endpoints) for sandbox in sandboxes})
    try:
        yield
    finally:
        endpoints.clear()
        endpoints.update(former)


async def ready_params(sandbox: Sandbox, action_id: str) -> Json:
    """The sample parameters of an action, with the simulator in the state that they need, and its log empty."""
    sandbox.reset()
    bench = Bench(sandbox, sandbox.open())
    try:
        params = await params_of(sandbox.samples[action_id], bench)
    finally:
        await bench.client.aclose()
    sandbox.control.clear_log()
    return json.loads(json.dumps(params))  # type: ignore[no-any-return]


def only_step(action_id: str, params: Json, **more: Any) -> Json:
    """A workflow of one step."""
    platform = action_id.partition(".")[0]
    node = {"id": "step", "type": action_id, "connection": platform, "params": params, **more}
    return chain(f"Only {action_id} {new_id().hex[-6:]}", node)


def changing(sandbox: Sandbox) -> list[Json]:
    """The writes that changed something on the platform."""
    return [record for record in sandbox.control.writes() if record["changed"]]


async def off_loop(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call something that blocks, from a test."""
    return await asyncio.to_thread(work, *args, **kwargs)


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The condition's value as soon as it holds. Raises AssertionError naming what was waited for."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


async def wait_for(ctx: Context, run_id: UUID, states: Sequence[str] = OVER, seconds: float = 40) -> RunView:
    """The run as soon as it is in one of ``states``. Raises AssertionError with what it was in instead."""
    until = time.monotonic() + seconds
    while True:
        view = await runs.get(ctx, run_id)
        if view.state in states:
            return view
        if time.monotonic() > until:
            steps = [(step.node, step.state, step.error) for step in view.steps]
            raise AssertionError(f"run is {view.state} ({view.reason}), wanted {states}: {steps}")
        await asyncio.sleep(0.05)


async def wait_for_steps(ctx: Context, run_id: UUID, wanted: dict[str, str], seconds: float = 30) -> RunView:
    """The run as soon as its steps are in the states that are wanted of them. Raises AssertionError with theirs."""
    until = time.monotonic() + seconds
    while True:
        run = await runs.get(ctx, run_id)
        found = {step.node: step.state for step in run.steps}
        if found.items() >= wanted.items():
            return run
        assert time.monotonic() < until, f"run is {run.state} ({run.reason}): {found}"
        await asyncio.sleep(0.05)


async def waiting(ctx: Context, run_id: UUID, seconds: float = 40) -> RunView:
    """The run once it waits for a person."""
    return await wait_for(ctx, run_id, ("waiting", *OVER), seconds)


async def wait_for_question(
    ctx: Context, run_id: UUID, *, node: str | None = None, other_than: UUID | None = None, seconds: float = 20
) -> ApprovalView:
    """The open question of the run (of its step ``node``) as soon as there is one. Raises AssertionError."""
    until = time.monotonic() + seconds
    while True:
        run = await runs.get(ctx, run_id)
        for asked in run.approvals:
            if asked.state == "open" and asked.id != other_than and node in (None, asked.node):
                return asked
        assert run.state not in OVER, (run.state, run.reason, [(step.node, step.error) for step in run.steps])
        assert time.monotonic() < until, f"nothing was asked: {run.state} {run.reason}"
        await asyncio.sleep(0.05)


def expire_leases(stack: TestStack) -> None:
    """Let every worker be taken for dead now, as if ten seconds had gone by."""
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE worker_leases SET expires_at = now() - interval '1 second'")


def chain(name: str, *nodes: Json, inputs: Json | None = None) -> Json:
    """A document whose nodes follow each other."""
    edges = [{"source": a["id"], "target": b["id"], "port": a.get("_port", "next")} for a, b in pairwise(nodes)]
    clean = [{key: value for key, value in node.items() if key != "_port"} for node in nodes]
    schema = inputs or {"type": "object", "properties": {}}
    return {"schema": "opsloom/workflow@1", "name": name, "inputs": schema, "nodes": clean, "edges": edges}
