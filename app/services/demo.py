"""The demonstration: an MSP, two clients connected to the simulators, people, workflows, and one finished run.

It is made by the product's own verbs, so what it shows is what the product does. Passwords and second factors are
generated; they are kept in ``demo-accounts.json`` in OPSLOOM_HOME, which only its owner can read. Calling it again
makes what is missing and leaves the rest alone.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from app.core.context import Actor, Context
from app.core.crypto import new_token
from app.core.files import write_private
from app.core.run_states import OVER
from app.core.settings import Settings
from app.data import routing
from app.data.counters import close_redis
from app.services import accounts, approvals, clients, connections, runs, workflows
from app.services.auth import local_actor
from app.services.clients import system_context
from app.services.health import queue_numbers
from app.services.templates import documents

Json = dict[str, Any]
ACCOUNTS_FILE = "demo-accounts.json"
MSP = ("northbridge", "Northbridge IT", "slate")
DOMAIN = "northbridge.example"
PEOPLE = {
    "owner": "Olivia Marsh",
    "engineer": "Étienne Moreau",
    "approver": "Aïcha Benali",
    "helpdesk": "Hugo Lind",
    "viewer": "Vera Novak",
}
# The tenants are those of the simulators; the variables are what the templates expect.
CLIENTS: dict[str, Json] = {
    "contoso": {
        "name": "Contoso Ltd",
        "colour": "teal",
        "tags": ["demo"],
        "variables": {"country": "US", "workstation_image": "contoso-engineering-*"},
    },
    "fabrikam": {
        "name": "Fabrikam SAS",
        "colour": "violet",
        "tags": ["demo"],
        "variables": {"country": "FR", "workstation_image": "fabrikam-poste-*"},
    },
}
# Whatever changes a tenant in earnest is agreed by a second person.
POLICY: Json = {"rules": [{"risk": "medium", "roles": ["approver", "owner"], "count": 1}]}
STARTER: Json = {
    "email": "nora.lindqvist@contoso.com",
    "first_name": "Nora",
    "last_name": "Lindqvist",
    "department": "Sales",
    "job_title": "Account Manager",
}
_RUN_KEY = "demonstration"
_PATIENCE_S = 90.0


async def seed(settings: Settings) -> list[Json]:
    """Have everything but the finished run. Gives the accounts with their passwords, those of an earlier call too."""
    routing.configure("web", settings)
    try:
        found = await _people(settings.home / ACCOUNTS_FILE)
        engineer = await _member("engineer")
        for slug in CLIENTS:
            await _connect(slug, settings.endpoints)
            await _import_templates(await clients.enter(engineer, slug))
        return found
    finally:
        await close_redis()
        await routing.dispose()


async def show(settings: Settings, *, patience_s: float = 20.0) -> bool:
    """Have one finished run to look at: planned, approved by a second person, done. Needs a worker.

    False where there was a run already, or no worker came up within ``patience_s`` seconds.
    """
    routing.configure("web", settings)
    try:
        here = await clients.enter(await _member("engineer"), "contoso")
        if await runs.list_runs(here, mode="apply", limit=1) or not await _workers(patience_s):
            return False
        return await _onboard(here, await clients.enter(await _member("approver"), "contoso"))
    finally:
        await close_redis()
        await routing.dispose()


async def _people(file: Path) -> list[Json]:
    """Clients and accounts. The file is written after each account, so that an interrupted call loses no password."""
    known = _kept(file)
    msp = await _client(*MSP, is_msp=True)
    there = {member.email: member.account_id for member in await accounts.list_members(msp)}
    for role, name in PEOPLE.items():
        email = _email(role)
        if email in there and any(each["email"] == email for each in known):
            continue
        if email in there:  # a call that was interrupted in between, or a file that was deleted
            made = await accounts.reset_sign_in(msp, account_id=there[email])
        else:
            made = await accounts.create(msp, email=email, name=name, role=role)
        known = [*[each for each in known if each["email"] != email], _entry(made, role)]
        write_private(file, json.dumps(known, ensure_ascii=False, indent=1))
    for slug, about in CLIENTS.items():
        await _admit(await _client(slug, about["name"], about["colour"], **_more(about)))
    return known


def _kept(file: Path) -> list[Json]:
    found: list[Json] = json.loads(file.read_text()) if file.exists() else []
    return found


def _entry(made: accounts.NewAccount, role: str) -> Json:
    return {
        "email": made.email,
        "name": made.name,
        "role": role,
        "clients": [MSP[0], *CLIENTS],
        "password": made.password,
        "totp_secret": made.totp_secret,
        "recovery_codes": made.recovery_codes,
    }


def _more(about: Json) -> Json:
    return {"tags": about["tags"], "variables": about["variables"]}


async def _client(slug: str, name: str, colour: str, **more: Any) -> Context:
    """The set-up's own context in that client, which is made where it is missing."""
    found = await clients.find_by_slug(slug)
    if found is None:
        setup = system_context("setup", uuid4()).actor
        found = (await clients.add_client(setup, slug=slug, name=name, colour=colour, **more)).id
        if not more.get("is_msp"):
            await clients.update_policy(system_context("setup", found, slug), POLICY)
    return system_context("setup", found, slug)


async def _admit(client: Context) -> None:
    there = {member.email for member in await accounts.list_members(client)}
    for role in PEOPLE:
        if _email(role) not in there:
            await accounts.grant(client, email=_email(role), role=role)


def _email(role: str) -> str:
    return f"{role}@{DOMAIN}"


async def _member(role: str) -> Actor:
    return await local_actor(_email(role))


async def _connect(slug: str, endpoints: dict[str, dict[str, str]]) -> None:
    """The client's connections to the simulators that run here."""
    context = system_context("setup", (await clients.find_by_slug(slug)) or uuid4(), slug)
    there = {connection.alias for connection in await connections.list_connections(context)}
    for platform, credentials, name in (("m365", _m365, "Microsoft 365"), ("aws", _aws, "AWS")):
        if platform in endpoints and platform not in there:
            config = await asyncio.to_thread(credentials, slug, endpoints[platform])
            await connections.add(context, alias=platform, platform=platform, name=name, config=config)


def _m365(slug: str, endpoint: dict[str, str]) -> Json:
    """Consent for a new application in the simulated tenant."""
    app = {"client_id": str(uuid4()), "client_secret": new_token()}
    made = _ask(endpoint["authority"], {"demo": True, "apps": {slug: app}}, endpoint.get("ca_file"))
    return {"tenant_id": next(each["tenant_id"] for each in made if each["slug"] == slug), **app}


def _aws(slug: str, endpoint: dict[str, str]) -> Json:
    made = _ask(endpoint["endpoint"], {"demo": True})
    config: Json = next(each["config"] for each in made if each["slug"] == slug)
    return config


def _ask(url: str, body: Json, ca_file: str | None = None) -> list[Json]:
    trusted = ssl.create_default_context(cafile=ca_file) if ca_file else True
    answer = httpx.post(f"{url}/_sim/seed", json=body, timeout=60, trust_env=False, verify=trusted)
    answer.raise_for_status()
    found: list[Json] = answer.json()["tenants"]
    return found


async def _import_templates(context: Context) -> None:
    there = {workflow.name for workflow in await workflows.list_workflows(context)}
    for document in documents():
        if document["name"] not in there:
            await workflows.import_document(context, document=document)


async def _workers(patience_s: float) -> bool:
    until = time.monotonic() + patience_s
    while (await queue_numbers())["workers"] < 1:
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.2)
    return True


async def _onboard(here: Context, there: Context) -> bool:
    """The job as engineer and approver do it: plan, seal, approve, run."""
    name = documents()[0]["name"]
    plan_id = await runs.start(here, workflow=name, inputs=STARTER, mode="plan", idempotency_key=f"{_RUN_KEY}-plan")
    if not await _reach(here, plan_id, "succeeded"):
        return False
    started = await runs.start(here, workflow=name, mode="apply", plan=plan_id, idempotency_key=_RUN_KEY)
    if not await _reach(here, started, "waiting", "succeeded"):
        return False
    for question in (await runs.get(there, started)).approvals:
        if question.state == "open":
            reason = "As agreed with the client."
            # The set-up acts for the approver on the owner's own machine; it has the second factor in its hands.
            await approvals.decide(there, question.id, decision="approve", seal=question.seal, reason=reason, mfa=True)
    return await _reach(here, started, "succeeded")


async def _reach(context: Context, run_id: Any, *states: str) -> bool:
    """Wait until the run is in one of ``states``; False where it ended otherwise or takes too long."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        state = (await runs.get(context, run_id)).state
        if state in states:
            return True
        if state in OVER:
            return False
        await asyncio.sleep(0.1)
    return False
