"""A long table on its page: some rows at a time, by state, by words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import Person, in_a_browser
from tests.product import Product

pytestmark = in_a_browser(timeout_s=300)

MARK = f"long{uuid4().hex[:8]}"
HERE = ("--client", "fabrikam", "--as", "engineer@northbridge.example")
ROWS = 130
PATIENCE_MS = 60_000
INPUTS = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "number": {"type": "integer"}},
    "required": ["name", "number"],
}
# Every tenth row fails.
DOCUMENT: dict[str, Any] = {
    "schema": "opsloom/workflow@1",
    "name": f"Count {MARK}",
    "inputs": INPUTS,
    "nodes": [
        {"id": "tenth", "type": "flow.condition", "params": {"expression": "inputs.number % 10 == 0"}},
        {"id": "refuse", "type": "flow.fail", "params": {"message": "Number {{ inputs.number }} is taken."}},
    ],
    "edges": [{"source": "tenth", "target": "refuse", "port": "true"}],
}


def started(product: Product, folder: Path) -> str:
    """A batch that has come to rest; its id."""
    drawn, table = folder / "count.json", folder / "count.csv"
    drawn.write_text(json.dumps(DOCUMENT))
    lines = ["name,number", *(f"Person {number:03} of {MARK},{number}" for number in range(1, ROWS + 1))]
    table.write_text("\n".join(lines))
    product.json("workflow", "import", str(drawn), *HERE)
    asked = ("workflow", "run", DOCUMENT["name"], *HERE, "--inputs-csv", str(table), "--mode", "apply", "--json")
    return str(json.loads(product.opsloom(*asked, "--wait", "100").stdout)["id"])


@pytest.fixture(scope="module")
def batch(product: Product, tmp_path_factory: pytest.TempPathFactory) -> str:
    return started(product, tmp_path_factory.mktemp("long"))


@pytest.fixture
def page(engineer: Person, batch: str) -> Page:
    engineer.complaints.clear()
    engineer.go(f"/c/fabrikam/batches/{batch}")
    expect(engineer.page.get_by_text(f"{ROWS} of {ROWS} rows")).to_be_visible(timeout=PATIENCE_MS)
    return engineer.page


def chip(page: Page, words: str) -> Any:
    return page.locator(".os-chip", has_text=words)


def test_a_page_of_rows_and_the_rest_on_demand(page: Page, engineer: Person) -> None:
    rows = page.locator("[data-row]")
    expect(rows).to_have_count(100)
    expect(rows.first).to_contain_text("Person 001")
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(ROWS)
    expect(rows.last).to_contain_text("Person 130")
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    assert engineer.complaints == []


def test_the_failed_ones_are_one_press_away(page: Page, engineer: Person) -> None:
    rows = page.locator("[data-row]")
    expect(chip(page, "Failed")).to_contain_text("13")
    expect(chip(page, "Succeeded")).to_contain_text("117")
    chip(page, "Failed").focus()
    page.keyboard.press("Enter")
    expect(rows).to_have_count(13)
    expect(rows.first).to_contain_text("Number 10 is taken.")
    expect(chip(page, "Failed")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Search the rows").fill("person 120")
    expect(rows).to_have_count(1)
    page.get_by_label("Search the rows").fill("nobody")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.get_by_label("Search the rows").fill("")
    chip(page, "Failed").click()
    expect(rows).to_have_count(100)
    assert engineer.complaints == []


def test_an_address_leads_to_the_failed_ones(page: Page, engineer: Person, batch: str) -> None:
    engineer.go("/c/fabrikam/runs")
    engineer.go(f"/c/fabrikam/batches/{batch}?state=failed")
    expect(page.locator("[data-row]")).to_have_count(13)
    expect(chip(page, "Failed")).to_have_attribute("aria-pressed", "true")
