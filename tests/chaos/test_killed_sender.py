"""One run that asks a web API, sends to it, mails and notifies, killed between the platform and our commit."""

from __future__ import annotations

from typing import Any

import pytest

from app.services import runs
from connectors.testing import Sandbox
from tests.chaos.test_canary import tables_holding
from tests.engine.kit import NO_POLICY, Relay, Tenant, chain, make_tenant, off_loop, wait_for
from tests.servers import TestStack

Json = dict[str, Any]
PLATFORMS = ("http", "mail", "webhook")
TICKETS = "https://api.sandbox.example/tickets"
HOLD_S = 60


def tell(said: str = "{{ steps.mail.output.message_id }}", **send: Any) -> Json:
    """Count the tickets, make one, write about it, notify."""
    title = "{{ 'Ticket ' + string(steps.ask.output.data.items.size() + 1) }}"
    return chain(
        "Tell everybody",
        {"id": "ask", "type": "http.request.get", "connection": "http", "params": {"url": TICKETS}},
        {
            "id": "send",
            "type": "http.request.send",
            "connection": "http",
            "params": {"url": TICKETS, "data": {"title": title}, **send},
        },
        {
            "id": "mail",
            "type": "mail.message.send",
            "connection": "mail",
            "params": {
                "to": ["anna@sandbox.example"],
                "subject": "{{ steps.send.output.data.title }}",
                "text": "Status {{ steps.send.output.status }}",
            },
        },
        {
            "id": "notify",
            "type": "webhook.message.send",
            "connection": "webhook",
            "params": {"event": "ticket.made", "data": {"message": said}},
        },
    )


@pytest.fixture
def outside(sandboxes: dict[str, Sandbox]) -> dict[str, Sandbox]:
    """The three platforms as they were seeded."""
    found = {name: sandboxes[name] for name in PLATFORMS}
    for sandbox in found.values():
        sandbox.reset()
    return found


async def begun(outside: dict[str, Sandbox], document: Json) -> tuple[Tenant, Any]:
    tenant = await make_tenant(NO_POLICY)
    for sandbox in outside.values():
        await tenant.connect(sandbox)
        sandbox.control.clear_log()
    flow = await tenant.publish(document)
    return tenant, await runs.start(tenant.engineer, workflow=flow.id, mode="apply")


async def killed_after(sandbox: Sandbox, relay: Relay) -> None:
    """kill -9 once the platform has acted and before anybody has heard of it; another worker takes over."""
    await off_loop(sandbox.control.wait_for_write, "", seconds=30)
    relay.runner.kill()
    sandbox.control.clear_faults()
    await off_loop(lambda: relay.runner)


def counts(outside: dict[str, Sandbox]) -> dict[str, int]:
    """How many writes each platform was sent."""
    return {name: len(sandbox.control.writes()) for name, sandbox in outside.items()}


def why(run: Any) -> Any:
    return run.state, run.reason, [(step.node, step.state, step.error) for step in run.steps]


@pytest.mark.chaos
async def test_a_message_whose_answer_died_with_the_worker_is_not_sent_again(
    outside: dict[str, Sandbox], relay: Relay, stack: TestStack
) -> None:
    assert relay.runner
    outside["mail"].control.fault("timeout", writes=True, when="after", seconds=HOLD_S)
    tenant, run_id = await begun(outside, tell("a person looked"))
    await killed_after(outside["mail"], relay)
    run = await wait_for(tenant.engineer, run_id, ("waiting", "failed", "succeeded"))
    assert (run.state, run.reason and run.reason["code"]) == ("waiting", "unknown"), why(run)
    assert {step.node: step.state for step in run.steps}["mail"] == "unknown"
    assert counts(outside) == {"http": 1, "mail": 1, "webhook": 0}, "nothing was sent twice, and nothing went on"
    (message,) = outside["mail"].control.dump("sandbox")["messages"]
    assert message["headers"]["subject"] == "Ticket 2"
    lost = next(step.error for step in run.steps if step.node == "mail")
    assert message["headers"]["message-id"] in str(lost), "the person is told what to look for"

    await runs.settle(tenant.engineer, run_id, node="mail", outcome="done")
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", why(run)
    assert counts(outside) == {"http": 1, "mail": 1, "webhook": 1}
    secrets = [
        getattr(sandbox.config, name).get_secret_value()
        for sandbox in outside.values()
        for name in sandbox.connector.secret_fields()
    ]
    assert len(secrets) == 3
    assert tables_holding(stack.superuser_dsn, secrets) == []


@pytest.mark.chaos
async def test_a_request_that_may_be_repeated_is_sent_again_and_done_once(
    outside: dict[str, Sandbox], relay: Relay
) -> None:
    assert relay.runner
    outside["http"].control.fault("timeout", writes=True, when="after", seconds=HOLD_S)
    tenant, run_id = await begun(outside, tell(repeatable=True))
    await killed_after(outside["http"], relay)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", why(run)
    assert counts(outside) == {"http": 2, "mail": 1, "webhook": 1}
    http = outside["http"].control.dump("sandbox")
    assert [ticket["title"] for ticket in http["tickets"].values()] == ["L'imprimante", "Ticket 2"], "it was done once"
    (told,) = outside["webhook"].control.dump("sandbox")["messages"]
    (message,) = outside["mail"].control.dump("sandbox")["messages"]
    assert told["data"] == {"message": message["headers"]["message-id"]}
    assert message["text"].strip() == "Status 201"
