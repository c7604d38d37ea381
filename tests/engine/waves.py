"""What tests of waves share: an MSP with clients, workflows that fail or ask there, and where a wave has come to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from app.core.context import Context
from app.core.ids import new_id
from app.services import clients, forms, runs, waves, workflows
from app.services.run_views import RunView
from app.services.waves import WaveView
from tests.engine.kit import NO_POLICY, Tenant, chain, make_tenant, wait_for
from tests.servers import TestStack

Json = dict[str, Any]


@dataclass
class Msp:
    """An MSP's engineer with clients of theirs, by a short name."""

    home: Tenant
    own: dict[str, Context]

    @property
    def me(self) -> Context:
        return self.home.owner

    @property
    def slugs(self) -> list[str]:
        return [context.client_slug for context in self.own.values()]

    def slug(self, name: str) -> str:
        return self.own[name].client_slug


async def msp_with(**variables: Json) -> Msp:
    """A client for each name, with its variables."""
    home = await make_tenant(NO_POLICY)
    mark, own = new_id().hex[-8:], {}
    for name, known in variables.items():
        made = await clients.add_client(home.owner.actor, slug=f"{name}-{mark}", name=name.title(), variables=known)
        own[name] = await clients.enter(home.owner.actor, made.id)
        await clients.update_policy(own[name], policy=NO_POLICY)
    return Msp(home, own)


def failing_where(name: str = "Wave") -> Json:
    """A workflow that fails in clients whose variable ``fails`` is true."""
    return chain(
        name,
        {"id": "first", "type": "flow.noop"},
        {"id": "check", "type": "flow.condition", "params": {"expression": "client.fails"}, "_port": "true"},
        {"id": "fail", "type": "flow.fail", "params": {"message": "Not here."}},
    )


async def published(msp: Msp, document: Json, **variables: Any) -> UUID:
    """The workflow, in the MSP's own client, which knows the ``variables`` that it speaks of."""
    await clients.update(msp.me, variables={**FINE, **variables})
    return (await workflows.import_document(msp.me, document=document)).id


async def reached(msp: Msp, wave: UUID, *states: str, begun: int = 0, seconds: float = 40) -> WaveView:
    """The wave as soon as it is in one of ``states``, with so many stages begun."""
    until = time.monotonic() + seconds
    while True:
        view = await waves.get(msp.me, wave, matrix=waves.Matrix())
        if view.state in states and view.begun >= begun:
            return view
        assert time.monotonic() < until, f"wave is {view.state} ({view.reason}): {states_of(view)}"
        await asyncio.sleep(0.1)


def states_of(view: WaveView) -> dict[str, str]:
    return {target.name: target.state for target in view.targets}


FINE: Json = {"fails": False}
BAD: Json = {"fails": True}


def asking_first(name: str = "Asked", **more: Any) -> Json:
    """A workflow that waits for a form, and fails where its answer is not fine."""
    fields = {"type": "object", "properties": {"fine": {"type": "boolean"}}, "required": ["fine"]}
    found = chain(
        name,
        {"id": "ask", "type": "flow.form", "params": {"title": "Fine?", "fields": fields, "roles": ["owner"]}},
        {"id": "check", "type": "flow.condition", "params": {"expression": "!steps.ask.output.fine"}, "_port": "true"},
        {"id": "fail", "type": "flow.fail", "params": {"message": "Not here."}},
    )
    return {**found, **more}


async def run_in(msp: Msp, wave: UUID, name: str) -> UUID:
    """The run of a wave in one client."""
    view = await waves.get(msp.me, wave)
    found = next(target.run for target in view.targets if target.client == msp.slug(name))
    assert found is not None
    return found


async def asked_in(msp: Msp, wave: UUID, name: str) -> RunView:
    """The client's run once it waits for its form."""
    run = await run_in(msp, wave, name)
    return await until(lambda: _with_form(msp.own[name], run), f"{name} to ask")


async def _with_form(inside: Context, run: UUID) -> RunView | None:
    view = await runs.get(inside, run)
    return view if any(form.state == "open" for form in view.forms) else None


async def answered(msp: Msp, wave: UUID, name: str, *, fine: bool = True) -> None:
    """Answer the client's form, and wait for the end of its run."""
    view = await asked_in(msp, wave, name)
    form = next(form for form in view.forms if form.state == "open")
    await forms.answer(msp.own[name], form.id, answer={"fine": fine})
    assert (await wait_for(msp.own[name], view.id)).state == ("succeeded" if fine else "failed")


async def until(look: Callable[[], Any], what: str, seconds: float = 40) -> Any:
    """What ``look`` gives as soon as it gives something. Raises AssertionError naming what was waited for."""
    end = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.05)
    return found


async def at_rest(stack: TestStack, msp: Msp, wave: UUID) -> WaveView:
    """The wave once nobody looks at it before something is asked of it."""

    async def look() -> WaveView | None:
        with psycopg.connect(stack.superuser_dsn) as link:
            row = link.execute("SELECT worker_id, ready_at FROM run_queue WHERE run_id = %s", (wave,)).fetchone()
        return await waves.get(msp.me, wave) if row in (None, (None, None)) else None

    found: WaveView = await until(look, "the wave to rest")
    return found
