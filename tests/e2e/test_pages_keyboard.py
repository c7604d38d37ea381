"""Without a mouse: sign in, change the client, plan, run the plan, decide about it as somebody else, undo it."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.browser import Person, in_a_browser, newcomer, settle
from tests.product import Product

pytestmark = in_a_browser(timeout_s=420)

DONE_MS = 90_000
MOST_TABS = 80


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until ``wanted`` has the focus, as somebody without a mouse does."""
    expect(wanted).to_be_visible()
    for _ in range(MOST_TABS):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} cannot be reached with the Tab key")


def go_by_palette(page: Page, words: str, where: str) -> None:
    page.keyboard.press("Control+k")
    expect(page.get_by_placeholder("Where to, or what to find?")).to_be_focused()
    page.keyboard.type(words)
    expect(page.get_by_role("option", selected=True)).to_contain_text(re.compile(words, re.IGNORECASE))
    page.keyboard.press("Enter")
    page.wait_for_url(where)
    settle(page)


def sign_in_by_keyboard(browser: Browser, product: Product, role: str) -> Person:
    person = newcomer(browser, product, role)
    page = person.page
    person.go("/sign-in?next=/c/contoso")
    expect(page.locator("input[name=email]")).to_be_focused()
    for words in (person.email, person.password, person.code()):
        page.keyboard.type(words)
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign in")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/c/contoso")
    settle(page)
    return person


def plan(page: Page, email: str) -> None:
    """Plan the onboarding from the list of workflows."""
    go_by_palette(page, "workflows", "**/c/contoso/workflows")
    row = page.locator("tbody tr", has_text="Onboard an employee")
    tab_to(page, row.get_by_role("link", name="Plan or run"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    tab_to(page, dialog.get_by_role("radio").first)
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("radio", name="Run")).to_be_checked()
    page.keyboard.press("ArrowLeft")
    expect(dialog.get_by_role("radio").first).to_be_checked()
    for name, words in (("email", email), ("first_name", "Kay"), ("last_name", "Board"), ("department", "Sales")):
        tab_to(page, dialog.locator(f"[data-field={name}] :is(input, select)"))
        page.keyboard.type(words)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*")


def press(page: Page, wanted: Locator) -> None:
    """Go there and press Enter."""
    expect(wanted).to_be_enabled()
    tab_to(page, wanted)
    page.keyboard.press("Enter")


def run_the_plan(page: Page) -> None:
    expect(page.locator(".os-facts").first).to_contain_text("Succeeded", timeout=DONE_MS)
    planned = page.url
    press(page, page.get_by_role("button", name="Run this plan"))
    page.wait_for_url(lambda url: url != planned)
    expect(page.locator(".os-facts").first).to_contain_text("Waiting", timeout=DONE_MS)


def undo(page: Page) -> None:
    done = page.url
    press(page, page.get_by_role("button", name="Undo", exact=True))
    press(page, page.get_by_role("dialog").get_by_role("button", name=re.compile(r"^Undo \d+ changes$")))
    page.wait_for_url(lambda url: url != done)
    expect(page.locator(".os-facts").first).to_contain_text("Waiting", timeout=DONE_MS)


def approve(approver: Person, email: str) -> None:
    page = approver.page
    go_by_palette(page, "approvals", "**/c/contoso/approvals")
    tab_to(page, page.locator(".os-timeline button", has_text=email))
    page.keyboard.press("Enter")
    expect(page.locator(".os-inbox-detail h2")).to_contain_text(email)
    tab_to(page, page.get_by_label("A fresh code from your authenticator app"))
    page.keyboard.type(approver.code())
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("^Approved:"))).to_be_visible()


def test_the_job_is_done_without_a_mouse(browser: Browser, product: Product) -> None:
    engineer = sign_in_by_keyboard(browser, product, "engineer")
    page = engineer.page
    go_by_palette(page, "fabrikam", "**/c/fabrikam")
    tab_to(page, page.locator(".os-switch").first)
    page.keyboard.press("Enter")
    expect(page.get_by_placeholder("Find a client or tag")).to_be_focused()
    page.keyboard.type("contoso")
    page.keyboard.press("Enter")
    page.wait_for_url("**/c/contoso")
    settle(page)
    email = f"k.board{str(int(time.time()))[-6:]}@contoso.com"
    # Two who approve, each with codes of their own: nobody waits for the next code.
    approver = sign_in_by_keyboard(browser, product, "approver")
    owner = sign_in_by_keyboard(browser, product, "owner")
    plan(page, email)
    run_the_plan(page)
    approve(approver, email)
    expect(page.locator(".os-facts").first).to_contain_text("Succeeded", timeout=DONE_MS)
    undo(page)
    approve(owner, email)
    expect(page.locator(".os-facts").first).to_contain_text("Succeeded", timeout=DONE_MS)
    for person in (engineer, approver, owner):
        assert person.complaints == []
