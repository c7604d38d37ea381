"""Chromium, and people who sign in with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.product import CHROMIUM, Product

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE_MS = 30_000
CLIENT_PAGES = ("", "/workflows", "/runs", "/history", "/waves", "/approvals", "/triggers", "/connections", "/audit")
PATHS = ("/clients", "/runs", "/health", *(f"/c/contoso{page}" for page in CLIENT_PAGES))


def in_a_browser(timeout_s: int) -> list[pytest.MarkDecorator]:
    """The marks of a file whose tests need Chromium and the product."""
    return [
        pytest.mark.e2e,
        pytest.mark.timeout(timeout_s),
        pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed: apt-get install chromium"),
    ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Person:
    """Somebody at a browser. ``complaints`` are what its console said was wrong."""

    product: Product
    email: str
    password: str
    page: Page
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.product.url}{path}")

    def fill_in(self) -> str:
        """Type what the sign-in page asks for; the code that was typed."""
        code = self.code()
        self.page.locator("input[name=email]").fill(self.email)
        self.page.locator("input[name=password]").fill(self.password)
        self.page.locator("input[name=otp]").fill(code)
        return code

    def code(self) -> str:
        """A code that has not been used yet."""
        return self.product.code(self.email)


def newcomer(browser: Browser, product: Product, role: str, locale: str = "en-GB") -> Person:
    """Somebody with a role who has not signed in yet."""
    account = next(one for one in product.accounts if one["role"] == role)
    page = browser.new_context(viewport={"width": 1400, "height": 900}, locale=locale).new_page()
    page.set_default_timeout(PATIENCE_MS)
    person = Person(product, account["email"], account["password"], page)
    page.on("console", lambda said: person.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: person.complaints.append(str(error)))
    return person


def sign_in(browser: Browser, product: Product, role: str) -> Person:
    """Sign in through the page, as a person does."""
    person = newcomer(browser, product, role)
    person.go("/sign-in")
    person.fill_in()
    person.page.get_by_role("button", name="Sign in").click()
    expect(person.page.get_by_role("navigation").first).to_be_visible()
    return person


def settle(page: Page) -> None:
    """Wait until the page has what it shows."""
    expect(page.locator(".os-header h1")).not_to_be_empty()
    expect(page.locator(".os-skeleton")).to_have_count(0)


def visit(owner: Person, path: str) -> Page:
    owner.go(path)
    settle(owner.page)
    return owner.page
