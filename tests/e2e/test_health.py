"""The health page while a run is in hand: a read that gets no answer holds it until the fault is taken away."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.browser import chromium, in_a_browser, sign_in, visit
from tests.e2e.builder_page import imported
from tests.product import Product

pytestmark = in_a_browser(timeout_s=300)

HERE = ("--client", "contoso", "--as", "engineer@northbridge.example")
NOBODY = f"nobody-{uuid4().hex[:8]}@contoso.com"


@pytest.fixture
def held(product: Product) -> Iterator[str]:
    """The id of a run whose only step waits for the platform."""
    faults = _faults(product)
    fault = {"kind": "timeout", "seconds": 600, "times": None, "path": NOBODY.partition("@")[0]}
    httpx.post(faults, json=fault, trust_env=False).raise_for_status()
    step = {"id": "who", "type": "m365.user.get", "name": "Who is it", "connection": "m365", "params": {"user": NOBODY}}
    flow = imported(product, [step])
    started = product.json("workflow", "run", flow, "--mode", "plan", "--wait", "0", *HERE)
    try:
        yield started["id"]
    finally:
        product.opsloom("run", "cancel", started["id"], *HERE)
        product.opsloom("sandbox", "mend", "m365")


def _faults(product: Product) -> str:
    """Where the simulator takes its faults: its control page answers without TLS too."""
    address = str(product.json("status")["parts"]["simulators"]["m365"]["url"])
    return address.replace("https:", "http:") + "/_sim/faults"


def test_the_page_says_who_works_at_what(product: Product, held: str) -> None:
    with chromium() as browser:
        owner = sign_in(browser, product, "owner")
        page = visit(owner, "/health")
        expect(page.locator("tr[data-worker]")).to_have_count(3)
        for words in ("Alive", "just now", product.json("status")["parts"]["workers"]["leases"][0]["code"]):
            expect(page.locator("tr[data-worker]").first).to_contain_text(words)
        expect(page.get_by_text("Not that of the pages")).to_have_count(0)
        in_hand = page.locator(f".os-hand:has(a[href='/c/contoso/runs/{held}'])")
        expect(in_hand).to_contain_text("Contoso")
        queue = page.locator("tr[data-client=contoso]")
        expect(queue).to_contain_text("Contoso")
        expect(queue.locator("td").nth(2)).to_have_text("1")
        in_hand.get_by_role("link").click()
        page.wait_for_url(f"**/c/contoso/runs/{held}")
        # Who may not see the health of the system is told so, and gets none of it.
        viewer = sign_in(browser, product, "viewer")
        viewer.go("/health")
        expect(viewer.page.get_by_text("Your role here does not show this page")).to_be_visible()
        assert viewer.page.locator("tr[data-worker]").count() == 0
        assert owner.complaints == []
