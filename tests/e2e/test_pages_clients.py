"""Another client: its name, its colour and its rows, and never those of the one before, however slow the line."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.e2e.browser import Person, in_a_browser, settle, visit

pytestmark = in_a_browser(timeout_s=420)


class SlowAnswers:
    """Holds back what the server says to the page, while ``slow``."""

    def __init__(self, page: Page) -> None:
        self.slow = False
        self._held: list[tuple[WebSocketRoute, str | bytes]] = []
        page.route_web_socket(re.compile("/_event"), self._between)

    def _between(self, browser: WebSocketRoute) -> None:
        server = browser.connect_to_server()
        server.on_message(lambda message: self._take(browser, message))

    def _take(self, browser: WebSocketRoute, message: str | bytes) -> None:
        if self.slow:
            self._held.append((browser, message))
        else:
            browser.send(message)

    def arrive(self) -> None:
        self.slow = False
        for browser, message in self._held:
            browser.send(message)
        self._held.clear()


@pytest.fixture
def answers(owner: Person) -> Iterator[SlowAnswers]:
    """The page, whose answers can be held back; its console must have stayed quiet."""
    owner.complaints.clear()
    yield SlowAnswers(owner.page)
    assert owner.complaints == []


def band(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.querySelector('.os-band')).backgroundColor"))


def change_to(page: Page, words: str) -> None:
    page.get_by_role("button", name="Change client").first.click()
    page.get_by_placeholder("Find a client or tag").fill(words)
    page.keyboard.press("Enter")


def test_after_a_change_nothing_of_the_former_client_is_shown(owner: Person, answers: SlowAnswers) -> None:
    page = visit(owner, "/c/contoso/audit")
    name = page.locator(".os-switch").first
    expect(name).to_contain_text("Contoso")
    expect(page.locator("tbody tr").first).to_be_visible()
    before = band(page)
    answers.slow = True
    change_to(page, "fabrikam")
    page.wait_for_url("**/c/fabrikam/audit")
    expect(name).not_to_contain_text("Contoso")
    expect(name).to_contain_text("Fabrikam")
    assert band(page) != before
    expect(page.locator("tbody")).to_have_count(0)
    expect(page.get_by_role("link", name="Export")).to_have_count(0)
    expect(page.get_by_role("main")).to_have_attribute("aria-busy", "true")
    answers.arrive()
    settle(page)
    expect(name).to_contain_text("Fabrikam")
    expect(page.get_by_role("main")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("link", name="Export")).to_have_attribute("href", re.compile("/clients/fabrikam/"))


def test_a_page_of_the_former_client_is_not_seen_again_in_another(owner: Person, answers: SlowAnswers) -> None:
    """The page of each section keeps what it showed last; that may be of another client."""
    page = visit(owner, "/c/contoso/audit")
    expect(page.locator("tbody tr").first).to_be_visible()
    page.get_by_role("link", name="Runs", exact=True).click()
    page.wait_for_url("**/c/contoso/runs")
    settle(page)
    change_to(page, "fabrikam")
    page.wait_for_url("**/c/fabrikam/runs")
    settle(page)
    answers.slow = True
    page.get_by_role("link", name="Audit", exact=True).click()
    page.wait_for_url("**/c/fabrikam/audit")
    expect(page.get_by_role("main")).to_have_attribute("aria-busy", "true")
    expect(page.locator("tbody")).to_have_count(0)
    answers.arrive()
    expect(page.get_by_role("main")).to_have_attribute("aria-busy", "false")


def test_a_page_that_opens_names_no_client_until_one_is_known(owner: Person, answers: SlowAnswers) -> None:
    page = owner.page
    answers.slow = True
    owner.go("/c/contoso/runs")
    expect(page.locator(".os-switch .os-skeleton").first).to_be_visible()
    assert band(page) == "rgba(0, 0, 0, 0)"
    answers.arrive()
    settle(page)
    expect(page.locator(".os-switch").first).to_contain_text("Contoso")


def test_changing_the_client_keeps_the_section_and_paints_its_band(owner: Person, answers: SlowAnswers) -> None:
    page = visit(owner, "/c/contoso/runs")
    before = band(page)
    change_to(page, "fabrikam")
    page.wait_for_url("**/c/fabrikam/runs")
    settle(page)
    assert band(page) != before
    expect(page.get_by_text("nora.lindqvist@contoso.com")).to_have_count(0)
