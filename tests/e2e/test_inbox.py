"""The inbox while others act: how many have said yes, until when, and what the run has done meanwhile."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.browser import chromium, in_a_browser, sign_in, visit
from tests.e2e.builder_page import CLIENT, imported
from tests.e2e.test_command_line import Terminal
from tests.product import Product

pytestmark = in_a_browser(timeout_s=300)

MARK = f"inbox_{uuid4().hex[:8]}"
ASK = {
    "title": f"Both of you? {MARK}",
    "count": 2,
    "roles": ["approver", "owner"],
    "deadline_hours": 5,
    "remind_hours": 1,
}
FIELDS = {"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]}

SEATS = {"title": f"Seats {MARK}", "fields": FIELDS, "roles": ["engineer", "approver"]}


def keep(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "flow.set_variable",
        "name": f"Keep {name}",
        "params": {"name": f"{MARK}_{name}", "value": 1},
    }


NODES = [
    keep("before"),
    {"id": "ask", "type": "flow.approval", "name": "Ask", "params": ASK},
    {"id": "form", "type": "flow.form", "name": "Seats", "params": SEATS},
    keep("beside"),
    keep("after"),
]
EDGES = [
    {"source": "before", "target": "ask"},
    {"source": "before", "target": "form"},
    {"source": "form", "target": "beside"},
    {"source": "ask", "target": "after", "port": "approved"},
]


@pytest.fixture
def terminal(product: Product) -> Terminal:
    return Terminal(product)


@pytest.fixture
def run(product: Product, terminal: Terminal) -> Iterator[str]:
    """A run that the policy has let go and that waits for two people, and beside that for a form."""
    flow = imported(product, NODES, EDGES)
    _, started = terminal.ask("workflow", "run", flow, "--mode", "apply", "--wait", "60")
    assert started["state"] == "waiting", started
    terminal.approve(started, "owner")
    until = time.monotonic() + 60
    while not any(one["node"] == "ask" for one in shown(terminal, started["id"])["approvals"]):
        assert time.monotonic() < until
        time.sleep(0.5)
    yield started["id"]
    terminal.type("run", "cancel", started["id"])


def shown(terminal: Terminal, run: str) -> dict[str, Any]:
    return dict(terminal.ask("run", "show", run)[1])


def fill_in(product: Product, run: str) -> None:
    """Answer the run's form, as the engineer."""
    account = ("--account", "engineer@northbridge.example", "--client", CLIENT)
    bearer = {"Authorization": f"Bearer {product.json('token', 'create', *account)['token']}"}
    with httpx.Client(base_url=f"{product.url}/api/v1/clients/{CLIENT}", headers=bearer, trust_env=False) as api:
        form = next(one for one in api.get("/forms").json() if one["run_id"] == run)
        api.post(f"/forms/{form['id']}/answer", json={"answer": {"seats": 2}}).raise_for_status()


def test_the_inbox_follows_what_happens(product: Product, terminal: Terminal, run: str) -> None:
    with chromium() as browser:
        approver = sign_in(browser, product, "approver")
        page = visit(approver, f"/c/{CLIENT}/approvals")
        form, waiting = page.locator(".os-form-rows li", has_text=MARK), page.locator(".os-count").first
        expect(form).to_have_count(1)
        before = int(waiting.inner_text())
        page.locator(".os-timeline button", has_text=MARK).click()
        detail = page.locator(".os-inbox-detail")
        expect(detail.locator("[data-so-far]")).to_have_text("0 of 2 so far")
        expect(detail.locator(".os-facts")).to_contain_text(re.compile("answer due in [45] hr"))
        expect(detail.locator(".os-facts")).to_contain_text("(no answer is a no)")
        expect(detail.locator("[data-node=before]")).to_contain_text("done already")
        expect(detail.locator("[data-node=beside]")).not_to_contain_text("done already")
        # What happens elsewhere is shown without opening it again.
        fill_in(product, run)
        expect(form).to_have_count(0)
        expect(waiting).to_have_text(str(before - 1))
        expect(detail.locator("[data-node=beside]")).to_contain_text("done already")
        expect(detail.locator("[data-node=after]")).not_to_contain_text("done already")
        expect(detail.locator("[data-covers]")).to_contain_text("Still to be done: Keep after.")
        question = next(one for one in shown(terminal, run)["approvals"] if one["state"] == "open")
        given = ("--seal", question["seal"], "--otp", terminal.code("owner"))
        terminal.ask("run", "approve", question["id"], *given, "--wait", "0", role="owner")
        expect(detail.locator("[data-so-far]")).to_have_text("1 of 2 so far")
        expect(detail.locator(".os-said")).to_contain_text("Approved")
        assert approver.complaints == []


def test_a_form_to_fill_in_can_be_read_on_a_phone(product: Product, run: str) -> None:
    with chromium() as browser:
        approver = sign_in(browser, product, "approver")
        approver.page.set_viewport_size({"width": 390, "height": 844})
        page = visit(approver, f"/c/{CLIENT}/approvals")
        title = page.locator(".os-form-rows li", has_text=MARK).get_by_text(f"Seats {MARK}")
        box = title.bounding_box()
        assert box is not None
        assert box["height"] < 30, "it stands on one line"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
