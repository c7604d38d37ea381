"""Signing in, on a slow line too: what is typed or sent before the code of the page has come is not lost."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.browser import PATHS, Person, in_a_browser, newcomer, settle
from tests.product import Product

pytestmark = in_a_browser(timeout_s=420)


class SlowScripts:
    """Holds back the page's code until it is let through."""

    def __init__(self, page: Page) -> None:
        self._held: list[Route] = []
        self._slow = True
        page.route(re.compile(r"\.js(\?|$)"), self._take)

    def _take(self, route: Route) -> None:
        if self._slow:
            self._held.append(route)
        else:
            route.continue_()

    @property
    def waiting(self) -> int:
        return len(self._held)

    def arrive(self) -> None:
        self._slow = False
        while self._held:
            self._held.pop().continue_()


def typed(page: Page) -> list[str]:
    return [page.locator(f"input[name={name}]").input_value() for name in ("email", "password", "otp")]


def begin(person: Person, path: str) -> SlowScripts:
    """Open the page with its code on the way."""
    scripts = SlowScripts(person.page)
    person.page.goto(f"{person.product.url}{path}", wait_until="commit")
    expect(person.page.locator("input[name=otp]")).to_be_visible()
    return scripts


def test_what_is_typed_before_the_code_arrives_stays(browser: Browser, product: Product) -> None:
    person = newcomer(browser, product, "owner")
    page = person.page
    scripts = begin(person, "/sign-in?next=/c/contoso/runs")
    code = person.fill_in()
    page.locator("input[name=password]").focus()
    assert scripts.waiting
    scripts.arrive()
    expect(page).to_have_title("Sign in · Opsloom")
    assert typed(page) == [person.email, person.password, code]
    expect(page.locator("input[name=password]")).to_be_focused()
    page.get_by_role("button", name="Français").click()
    expect(page.get_by_role("button", name="Se connecter")).to_be_visible()
    assert typed(page) == [person.email, person.password, code]
    page.get_by_role("button", name="Se connecter").click()
    page.wait_for_url("**/c/contoso/runs")
    settle(page)
    assert person.complaints == []
    page.context.close()


def test_a_form_sent_before_the_code_arrives_leads_where_one_wanted_to_go(browser: Browser, product: Product) -> None:
    person = newcomer(browser, product, "owner")
    page = person.page
    scripts = begin(person, "/sign-in?next=/c/fabrikam/audit")
    person.fill_in()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.locator("form").evaluate("form => { form.requestSubmit(); form.requestSubmit(); }")
    page.wait_for_url("**/c/fabrikam/audit", wait_until="commit")
    scripts.arrive()
    settle(page)
    assert len(sent) == 1
    assert person.complaints == []
    page.context.close()


def test_a_page_that_waited_for_its_language_keeps_what_is_typed(browser: Browser, product: Product) -> None:
    person = newcomer(browser, product, "owner", locale="fr-FR")
    page = person.page
    scripts = begin(person, "/sign-in")
    page.locator("input[name=email]").fill("someone@example.com")
    page.locator("input[name=password]").fill("a password")
    page.locator("input[name=otp]").fill("12")
    scripts.arrive()
    expect(page.get_by_role("button", name="Se connecter")).to_be_visible()
    assert typed(page) == ["someone@example.com", "a password", "12"]
    page.context.close()


def test_the_first_field_has_the_focus_in_each_language(browser: Browser, product: Product) -> None:
    for locale in ("en-GB", "fr-FR"):
        person = newcomer(browser, product, "owner", locale=locale)
        person.go("/sign-in")
        expect(person.page.locator("input[name=email]")).to_be_focused()
        person.page.context.close()


def test_a_wrong_password_is_said_and_what_was_typed_stays(browser: Browser, product: Product) -> None:
    for early in (True, False):
        person = newcomer(browser, product, "owner")
        page = person.page
        scripts = begin(person, "/sign-in?next=/c/contoso/runs")
        if not early:
            scripts.arrive()
            expect(page).to_have_title("Sign in · Opsloom")
        page.locator("input[name=email]").fill("nobody@nowhere.example")
        page.locator("input[name=password]").fill("not the password")
        page.locator("input[name=otp]").fill("000000")
        page.get_by_role("button", name="Sign in").click(no_wait_after=True)
        page.wait_for_url(re.compile("error="), wait_until="commit")
        scripts.arrive()
        expect(page.get_by_role("alert")).to_contain_text("is not right")
        expect(page.locator("input[name=email]")).to_have_value("nobody@nowhere.example")
        assert "next=%2Fc%2Fcontoso%2Fruns" in page.url
        assert "password" not in page.url.lower()
        page.context.close()


def test_without_a_session_every_page_leads_to_the_sign_in(browser: Browser, product: Product) -> None:
    page = newcomer(browser, product, "owner").page
    for path in PATHS:
        page.goto(f"{product.url}{path}")
        page.wait_for_url(re.compile(r"/sign-in/?\?next="))
    page.context.close()
