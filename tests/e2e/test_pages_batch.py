"""New starters from a table: one plan, one seal, one approval on a phone, each row done; and the run of one of them."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Person, in_a_browser, sign_in, visit
from tests.product import Product

pytestmark = in_a_browser(timeout_s=420)

DONE_MS = 90_000


@pytest.fixture(scope="module")
def approver(browser: Browser, product: Product) -> Person:
    person = sign_in(browser, product, "approver")
    person.page.set_viewport_size({"width": 390, "height": 844})
    return person


def starters(names: list[str], mark: str) -> str:
    """A table as people's spreadsheets write it: semicolons, accents, apostrophes; one row of five is wrong."""
    people = [("Zoé", "O'Neil"), ("Jürgen", "Groß"), ("Anaïs", "d’Arcy")]
    rows = []
    for first, last in people:
        address = f"{first[0].lower()}.{last[-3:].lower()}{mark}@contoso.com".encode("ascii", "ignore").decode()
        known = {"email": address, "department": "Sales", "first_name": first, "last_name": last}
        rows.append(";".join(known.get(name, "Advisor") for name in names))
    rows.insert(1, ";".join("no address" if name == "email" else "x" for name in names))
    exists = {"email": "nora.lindqvist@contoso.com", "first_name": "Nora", "last_name": "Lindqvist"}
    known = exists | {"department": "Sales", "job_title": "Account Manager"}
    rows.append(";".join(known.get(name, "") for name in names))
    return "\r\n".join([";".join(names), *rows])


def start_batch(engineer: Person, button: str = "Run 4 rows") -> Page:
    page = engineer.page
    engineer.go("/c/contoso/workflows")
    page.locator("tr", has_text="Onboard an employee").get_by_role("link", name="Plan or run").click()
    page.get_by_role("tab", name="From a table").click()
    names = page.locator(".os-dialog .os-mono").first.inner_text().split(", ")
    table = starters(names, str(int(time.time()))[-6:])
    file = {"name": "starters.csv", "mimeType": "text/csv", "buffer": b"\xef\xbb\xbf" + table.encode()}
    page.locator(".os-dialog input[type=file]").set_input_files(file)
    expect(page.get_by_text("4 rows are right")).to_be_visible()
    expect(page.locator(".os-checked tr[data-wrong=true]")).to_have_count(1)
    page.get_by_label("Priority among the client’s runs").select_option("High")
    page.get_by_role("button", name=button).click()
    page.wait_for_url("**/batches/*")
    return page


def approve(approver: Person) -> None:
    page = approver.page
    approver.go("/c/contoso/approvals")
    page.locator(".os-timeline button", has_text="4 × Onboard an employee").first.click()
    expect(page.locator(".os-plan-steps").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("A fresh code from your authenticator app").fill(approver.code())
    page.locator(".os-decision").get_by_role("button", name="Approve").click()
    expect(page.get_by_text(re.compile("^Approved:"))).to_be_visible()


def test_a_batch_is_planned_approved_once_and_done(engineer: Person, approver: Person) -> None:
    engineer.complaints.clear()
    approver.complaints.clear()
    page = start_batch(engineer)
    expect(page.get_by_text("1 row held back")).to_be_visible()
    expect(page.locator(".os-facts").first).to_contain_text("high priority")
    expect(page.locator(".os-facts").first).to_contain_text("Waiting", timeout=DONE_MS)
    expect(page.get_by_text("You asked for this, so somebody else has to answer.")).to_be_visible()
    approve(approver)
    expect(page.locator(".os-facts").first).to_contain_text("Succeeded", timeout=DONE_MS)
    rows = page.locator(".os-plan-step")
    expect(rows).to_have_count(4)
    expect(rows.last).to_contain_text("nora.lindqvist@contoso.com")
    expect(rows.last).to_contain_text("No change")
    rows.first.locator("button").first.click()
    expect(rows.first).to_contain_text("Zoé O'Neil")
    rows.first.get_by_role("link", name="Open this row’s run").click()
    page.wait_for_url("**/runs/*")
    page.get_by_role("button", name="Make a one-time link").click()
    expect(page.get_by_label("One-time link")).to_have_value(re.compile(r"/reveal/[\w-]+$"))
    assert engineer.complaints == []
    assert approver.complaints == []


def test_a_run_is_undone_from_its_page(engineer: Person) -> None:
    page = engineer.page
    engineer.go("/c/contoso/runs")
    page.locator("tr", has_text="4 × Onboard an employee").first.locator("a.os-strong").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("dialog")).to_contain_text("taken back in reverse order")
    page.get_by_role("button", name=re.compile(r"^Undo \d+ change")).click()
    expect(page.get_by_text("Undoes this run")).to_be_visible()
    expect(page.locator(".os-facts").first).to_contain_text(re.compile("Succeeded|Waiting"), timeout=DONE_MS)


def test_a_planned_batch_is_run_with_what_was_held_back(engineer: Person) -> None:
    """From the plan's page, once although it is clicked twice; the bad row stays held back with its reason."""
    engineer.complaints.clear()
    page = start_batch(engineer, "Plan 4 rows")
    expect(page.locator(".os-facts").first).to_contain_text("Succeeded", timeout=DONE_MS)
    plan = page.url
    held = page.locator(".os-held").inner_text()
    page.get_by_role("button", name="Run this plan").dblclick()
    page.wait_for_url(lambda url: "/batches/" in url and url != plan)
    expect(page.locator(".os-facts").first).to_contain_text("Waiting", timeout=DONE_MS)
    expect(page.locator(".os-plan-step")).to_have_count(4)
    expect(page.locator(".os-held")).to_have_text(held, use_inner_text=True)
    batch = page.url.rpartition("/")[2]
    visit(engineer, "/c/contoso/runs?state=waiting&kind=batch")
    started = page.locator("td a.os-strong", has_text="4 × Onboard an employee")
    expect(started.first).to_have_attribute("href", re.compile(f"{batch}$"))
    assert plan.rpartition("/")[2] not in [str(link.get_attribute("href")).rpartition("/")[2] for link in started.all()]
    page.goto(f"{engineer.product.url}/c/contoso/batches/{batch}")
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".os-facts").first).to_contain_text("Cancelled", timeout=DONE_MS)
    assert engineer.complaints == []
