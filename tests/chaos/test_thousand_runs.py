"""Many runs of every shape while everything breaks, again and again: nothing is lost and nothing done twice.

`make soak` is the whole storm, a thousand runs; the ordinary test run has a smaller one. A failure prints its seed, and
`make soak SEED=…` has the same mishaps in the same order again (the moments are the machine's).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from random import Random, SystemRandom
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from app.data.session import CommitUnknown, tenant_session
from app.services import run_loading, runs
from connectors.testing import Sandbox, sandbox_of
from tests.chaos.storm import ClockMover, Storm, rows, start_scheduler
from tests.engine.kit import NO_POLICY, OVER, Tenant, Workers, chain, leading_to, make_tenant, off_loop
from tests.servers import TestStack

Json = dict[str, Any]
PLATFORMS = ("m365", "http")
TICKETS = "https://api.sandbox.example/tickets"
KINDS = ("chain", "create", "each", "fan", "wait")
BRANCHES = 5
# Nothing has happened in any run for so long: longer than every deadline, lease and lock of a lost worker.
STANDSTILL_S = 120.0
# A call is awaited so long, and the run of a worker that may only be slow is taken over no earlier.
CALL = {"timeout_s": 15, "retry": {"attempts": 8, "delay_s": 0.5}}
NAME: Json = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def noop(node: str) -> Json:
    return {"id": node, "type": "flow.noop"}


def create(name: str, node: str = "create") -> Json:
    params = {"user_principal_name": name, "display_name": "Somebody", "usage_location": "FR"}
    return {"id": node, "type": "m365.user.create", "connection": "m365", "params": params, **CALL}


def ticket() -> Json:
    params = {"url": TICKETS, "data": {"title": "{{ inputs.name }}"}}
    return {"id": "send", "type": "http.request.send", "connection": "http", "params": params, **CALL}


def person(suffix: str = "") -> str:
    return "{{ inputs.name + '" + suffix + "@sandbox.example' }}"


def for_each() -> Json:
    body = {key: value for key, value in chain("", create("{{ item }}"), noop("then")).items() if key != "name"}
    items = "{{ ['a', 'b', 'c'].map(x, inputs.name + x + '@sandbox.example') }}"
    return {"id": "each", "type": "flow.for_each", "params": {"items": items, "limit": 2}, "body": body}


def fan() -> Json:
    middle = [create(person(), "b0"), *(noop(f"b{number}") for number in range(1, BRANCHES))]
    edges = [{"source": "first", "target": node["id"]} for node in middle]
    edges += [{"source": node["id"], "target": "last"} for node in middle]
    return {**chain("fan", inputs=NAME), "nodes": [noop("first"), *middle, noop("last")], "edges": edges}


def documents() -> dict[str, Json]:
    """A workflow of each shape. What they do is named after the run."""
    second = {"id": "wait", "type": "flow.wait", "params": {"amount": 1, "unit": "seconds"}}
    return {
        "chain": chain("chain", *(noop(f"n{number}") for number in range(8)), inputs=NAME),
        "create": chain("create", noop("before"), create(person()), noop("after"), inputs=NAME),
        "each": chain("each", for_each(), noop("after"), inputs=NAME),
        "fan": fan(),
        "wait": chain("wait", second, ticket(), noop("after"), inputs=NAME),
    }


def expected_of(kind: str, name: str) -> list[str]:
    """The effects of a run, as :func:`effects` counts them."""
    several = [f"{name}{letter}@sandbox.example" for letter in "abc"]
    one = [f"{name}@sandbox.example"]
    return {"chain": [], "create": one, "each": several, "fan": one, "wait": [f"ticket {name}"]}[kind]


def effects(sandboxes: dict[str, Sandbox]) -> Counter[str]:
    """What the platforms say was done, and how often."""
    made = [
        str(record["body"]["userPrincipalName"])
        for record in sandboxes["m365"].control.writes()
        if record["changed"] and record["method"] == "POST" and record["path"].rstrip("/").endswith("/users")
    ]
    (tickets,) = (tenant["tickets"] for tenant in tenants(sandboxes["http"]))
    return Counter([*made, *(f"ticket {found['title']}" for found in tickets.values() if found["id"] != 1)])


def tenants(sandbox: Sandbox) -> list[Json]:
    return [sandbox.control.dump(tenant["slug"]) for tenant in sandbox.seed["tenants"]]


@pytest.fixture
def outside(house: TestStack) -> Iterator[dict[str, Sandbox]]:
    with ExitStack() as open_ones:
        found = {name: open_ones.enter_context(sandbox_of(name)) for name in PLATFORMS}
        open_ones.enter_context(leading_to(*found.values()))
        yield found


class Crowd:
    """The runs, by id, and what each of them has to do."""

    def __init__(self, house: TestStack, tenant: Tenant, flows: dict[str, UUID]) -> None:
        self.house, self.tenant, self.flows = house, tenant, flows
        self.expected: dict[UUID, list[str]] = {}
        self.numbers: dict[UUID, int] = {}
        self.refused: set[UUID] = set()
        self.told: dict[UUID, str] = {}
        self.answers: Counter[str] = Counter()

    async def start(self, number: int, key: str = "") -> None:
        """Start a run as a client program does: with a key, again until it is answered."""
        kind, name = KINDS[number % len(KINDS)], f"run{number}"
        while True:
            try:
                run_id = await runs.start(
                    self.tenant.engineer,
                    workflow=self.flows[kind],
                    inputs={"name": name},
                    mode="apply",
                    idempotency_key=f"{name}{key}",
                )
            except (CommitUnknown, DBAPIError, psycopg.Error, OSError):
                await asyncio.sleep(0.2)
            else:
                self.expected[run_id], self.numbers[run_id] = expected_of(kind, name), number
                return

    async def finish(self, sandboxes: dict[str, Sandbox]) -> None:
        """Wait until every run is over, answering those that ask. Raises AssertionError where nothing moves."""
        seen, since = None, time.monotonic()
        while open_ones := await off_loop(self._open):
            await self._answer(open_ones, sandboxes)
            now = await off_loop(rows, self.house, "SELECT count(*) FROM step_events")
            if now != seen:
                seen, since = now, time.monotonic()
            if time.monotonic() - since > STANDSTILL_S:
                raise AssertionError(await off_loop(self._stuck))
            await asyncio.sleep(0.5)

    async def _answer(self, open_ones: list[Any], sandboxes: dict[str, Sandbox]) -> None:
        """What a person does: looks whether it was done, says so, and lets a run that it stopped go on."""
        for run_id, state, code in open_ones:
            if code == "unknown" and run_id not in self.told:
                await self._settle(run_id, sandboxes)
            elif state == "failed" and self.told.get(run_id) == "not_done":
                del self.told[run_id]
                await runs.retry(self.tenant.engineer, run_id)
            elif state == "failed":
                # The platform could not be asked while it planned. Nothing was written, and the run says so.
                self.expected[run_id] = []
                self.refused.add(run_id)
                await self.start(self.numbers[run_id], f" instead of {run_id}")

    async def _settle(self, run_id: UUID, sandboxes: dict[str, Sandbox]) -> None:
        (effect,) = self.expected[run_id]
        done = await off_loop(effects, sandboxes)
        assert done[effect] <= 1, f"{effect} was done twice"
        self.told[run_id] = "done" if done[effect] else "not_done"
        self.answers[self.told[run_id]] += 1
        await runs.settle(self.tenant.engineer, run_id, node="send", outcome=self.told[run_id])

    def _open(self) -> list[Any]:
        """Runs that are not over, those that stopped because a person said that a step was not done, and those that
        ended while they planned, for which another has to be started."""
        query = """SELECT id, state, reason ->> 'code' FROM runs
                    WHERE NOT state = ANY (%s) OR (state = 'failed' AND (id = ANY (%s)
                       OR reason ->> 'phase' = 'plan' AND reason ->> 'remedy' = 'Retryable' AND NOT id = ANY (%s)))"""
        stopped = [run_id for run_id, answer in self.told.items() if answer == "not_done"]
        return rows(self.house, query, list(OVER), stopped, list(self.refused))

    def _stuck(self) -> str:
        query = """SELECT r.id, r.state, r.reason, q.worker_id, q.due, q.ready_at, q.abandoned
                     FROM runs r LEFT JOIN run_queue q ON q.run_id = r.id WHERE NOT r.state = ANY (%s)"""
        found = rows(self.house, query, list(OVER))
        leases = rows(self.house, "SELECT worker_id, name, expires_at - now() FROM worker_leases")
        return f"{len(found)} runs stand still: {found[:5]}; leases: {leases}"


@asynccontextmanager
async def time_kept(house: TestStack, log: Path) -> AsyncIterator[None]:
    scheduler = start_scheduler(house, log)
    try:
        yield
        assert scheduler.poll() is None, "the scheduler lives on"
    finally:
        scheduler.kill()
        await off_loop(scheduler.wait)


async def gathered(house: TestStack, sandboxes: dict[str, Sandbox]) -> Crowd:
    tenant = await make_tenant(NO_POLICY)
    for sandbox in sandboxes.values():
        sandbox.reset()
        await tenant.connect(sandbox)
    flows = {name: (await tenant.publish(document)).id for name, document in documents().items()}
    sandboxes["m365"].control.fault("slow", writes=True, seconds=0.4, times=None)
    sandboxes["http"].control.fault("slow", writes=True, seconds=0.4, times=None)
    return Crowd(house, tenant, flows)


async def weather(storm: Storm, crowd: Crowd, count: int) -> None:
    """Mishap after mishap, while runs are being started."""
    mishaps = storm.mishaps(rounds=max(1, count // 200))
    share = -(-count // len(mishaps))
    for place, mishap in enumerate(mishaps):
        numbers = range(place * share, min(count, (place + 1) * share))
        starting = asyncio.gather(*(crowd.start(number) for number in numbers))
        await asyncio.sleep(storm.random.uniform(0, 1.5))
        await mishap()
        await starting
    await storm.over()


def claims_of_the_dead(house: TestStack) -> list[Any]:
    return rows(
        house,
        "SELECT run_id FROM run_queue q WHERE worker_id IS NOT NULL AND NOT EXISTS"
        " (SELECT FROM worker_leases l WHERE l.worker_id = q.worker_id AND l.expires_at > now())",
    )


async def folded(crowd: Crowd, run_id: UUID) -> None:
    """The stored history has no gap and leads to the state that the run is in; every step of it ended right."""
    ctx = crowd.tenant.engineer
    async with tenant_session(ctx) as session:
        run, _ = await run_loading.find(session, ctx, run_id)
        past = await run_loading.past_of(session, ctx, run)
    assert [event.seq for event in past.history] == list(range(1, len(past.history) + 1)), run_id
    state = past.state()
    assert state is not None
    wrong = {name: (node.state, node.error) for name, node in state.nodes.items() if node.state != "succeeded"}
    assert (run.state, state.outcome, wrong) == ("succeeded", "succeeded", {}), (run_id, run.reason)


@pytest.mark.chaos
@pytest.mark.timeout(7200)
async def test_a_storm_over_many_runs(
    house: TestStack, outside: dict[str, Sandbox], crew: Workers, tmp_path: Path
) -> None:
    seed = int(os.environ.get("OPSLOOM_CHAOS_SEED") or SystemRandom().randrange(1_000_000))
    count = int(os.environ.get("OPSLOOM_CHAOS_RUNS") or 60)
    sys.stdout.write(f"OPSLOOM_CHAOS_SEED={seed} OPSLOOM_CHAOS_RUNS={count} clocks moved: {ClockMover.there}\n")
    storm = Storm(house, crew, outside, Random(seed))
    crowd = await gathered(house, outside)
    await storm.crew_up()
    try:
        async with time_kept(house, tmp_path / "scheduler.log"):
            await weather(storm, crowd, count)
            await crowd.finish(outside)
            assert await off_loop(claims_of_the_dead, house) == []
    finally:
        sys.stdout.write(
            "\n".join(
                [*storm.told, f"a person said: {dict(crowd.answers)}; refused while planning: {len(crowd.refused)}", ""]
            )
        )
    stored = await off_loop(rows, house, "SELECT id FROM runs")
    assert {run_id for (run_id,) in stored} == set(crowd.expected), "no run is lost, and none was started twice"
    assert len(crowd.expected) == count + len(crowd.refused)
    assert await off_loop(rows, house, "SELECT run_id FROM run_queue") == []
    assert await off_loop(effects, outside) == Counter(one for each in crowd.expected.values() for one in each)
    for run_id in crowd.expected.keys() - crowd.refused:
        await folded(crowd, run_id)
