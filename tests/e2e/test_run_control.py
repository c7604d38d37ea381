"""A run is paused, goes on, is cancelled and planned again from a step, in Chromium."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.e2e.browser import chromium, in_a_browser, sign_in
from tests.product import Product

pytestmark = in_a_browser(timeout_s=420)

WALK: dict[str, Any] = {
    "schema": "opsloom/workflow@1",
    "name": "Paused walk",
    "nodes": [
        {"id": "first", "type": "flow.noop", "name": "First"},
        {"id": "ask", "type": "flow.approval", "name": "Ask", "params": {"title": "Go on?"}},
        {"id": "last", "type": "flow.noop", "name": "Last"},
    ],
    "edges": [{"source": "first", "target": "ask"}, {"source": "ask", "target": "last", "port": "approved"}],
}


def test_pause_resume_cancel_and_run_again_from_here(product: Product, tmp_path: Path) -> None:
    drawn = tmp_path / "walk.json"
    drawn.write_text(json.dumps(WALK))
    here = ("--client", "contoso", "--as", "engineer@northbridge.example", "--json")
    product.json("workflow", "import", str(drawn), *here)
    done = product.opsloom("workflow", "run", WALK["name"], "--mode", "apply", "--wait", "30", *here)
    run = json.loads(done.stdout)
    assert run["state"] == "waiting", run["reason"]
    with chromium() as browser:
        person = sign_in(browser, product, "engineer")
        page = person.page
        person.go(f"/c/contoso/runs/{run['id']}")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        expect(page.get_by_text("It is paused.")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        expect(page.get_by_text("It is paused.")).to_have_count(0)
        page.get_by_role("button", name="Cancel the run").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
        # As it was before its last event; what can be done to a run is only there for what is now.
        page.get_by_role("tab", name="Steps").click()
        again = page.get_by_role("button", name="Run again from here")
        expect(again).to_be_visible()
        page.get_by_role("slider").fill("1")
        expect(page.get_by_text("This is how it was")).to_be_visible()
        expect(again).to_have_count(0)
        page.get_by_role("button", name="Back to now").click()
        # What a step gave is written by hand for the next run.
        page.locator("[data-node=first]").click()
        page.get_by_role("tab", name="Output").click()
        page.get_by_role("button", name="Write this output by hand").click()
        page.get_by_role("textbox", name="Write this output by hand").fill("{}")
        page.get_by_role("button", name="Keep it for the next run").click()
        expect(page.get_by_text("Written by hand for the next run: First.")).to_be_visible()
        page.locator("[data-node=ask]").click()
        again.click()
        page.wait_for_url(lambda url: "/runs/" in url and run["id"] not in url)
        expect(page.get_by_role("button", name="Run this plan")).to_be_visible()
        page.get_by_role("tab", name="Steps").click()
        page.locator("[data-node=first]").click()
        expect(page.get_by_text("Written by hand", exact=True)).to_be_visible()
        assert person.complaints == []
