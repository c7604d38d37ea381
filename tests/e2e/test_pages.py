"""Every page in a real browser: quiet console, both languages, narrow and wide, light and dark, keyboard, bad input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from app.ui.i18n import catalogue
from tests.e2e.browser import PATHS, Person, in_a_browser, settle, visit
from tests.product import Product

pytestmark = in_a_browser(timeout_s=420)

DIALOGS = ("/c/contoso/workflows?new=1", "/c/contoso/connections?add=1", "/c/contoso/triggers?add=1")
WIDTHS = (1400, 390)
# What the canvas's library reads out where it is not told otherwise.
LIBRARY_WORDS = re.compile("Press enter|Edge from|Control Panel|Zoom In|Mini Map")

# All that a reader sees or hears of a page.
READ_ALL = """() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (!parent.closest("script, style, noscript, .os-mono, code, pre")) found.push(walk.currentNode.data.trim());
  }
  for (const element of document.body.querySelectorAll("[aria-label], [title], [placeholder], [alt]")) {
    for (const name of ["aria-label", "title", "placeholder", "alt"]) found.push(element.getAttribute(name) ?? "");
  }
  found.push(document.title);
  return found.filter(Boolean);
}"""

# Contrast of each piece of visible text with what is painted behind it, for those below the limit of WCAG 2.1 AA.
TOO_FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((part, index) => part * top[3] + under[index] * (1 - top[3]));
  const light = (rgb) => rgb
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const found = [];
  const walk = document.createTreeWalker(document.querySelector(".os-frame"), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (!walk.currentNode.data.trim() || !box.width || !box.height || element.closest("[disabled], .os-mark")) continue;
    const faded = (at) => at && (getComputedStyle(at).opacity < 1 || faded(at.parentElement));
    if (faded(element) || style.visibility === "hidden") continue;
    const back = behind(element);
    const [one, other] = [light(over(rgba(style.color), back)), light(back)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${walk.currentNode.data.trim().slice(0, 40)}`);
  }
  return [...new Set(found)];
}"""


@pytest.fixture(scope="module")
def cookies(owner: Person) -> Any:
    return owner.page.context.storage_state()


@pytest.fixture
def page(owner: Person) -> Iterator[Page]:
    """The signed-in page, as wide as usual; its console must have stayed quiet."""
    owner.complaints.clear()
    owner.page.set_viewport_size({"width": 1400, "height": 900})
    yield owner.page
    assert owner.complaints == []


def a_run(owner: Person) -> str:
    """The address of the finished run that the demonstration brings."""
    page = visit(owner, "/c/contoso/runs")
    return str(page.locator("td a.os-strong").last.get_attribute("href"))


@pytest.mark.parametrize("path", PATHS)
def test_a_page_opens_quietly_and_fits(owner: Person, page: Page, path: str) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        visit(owner, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, product: Product, cookies: Any, owner: Person, scheme: Any) -> None:
    run = a_run(owner)
    context = browser.new_context(storage_state=cookies, color_scheme=scheme, viewport={"width": 1400, "height": 900})
    context.add_init_script("localStorage.setItem('theme', 'system'); localStorage.setItem('opsloom.locale', 'en')")
    page = context.new_page()
    for path in (*PATHS, run):
        page.goto(f"{product.url}{path}")
        settle(page)
        assert page.evaluate(TOO_FAINT) == [], (scheme, path)
    context.close()


def test_runs_are_searched_for_and_a_change_leads_to_all_that_was_done_to_its_target(owner: Person, page: Page) -> None:
    visit(owner, "/c/contoso/runs")
    rows, box = page.locator("tr[data-opens]"), page.get_by_placeholder("Search inputs and errors of all runs")
    expect(rows.first).to_be_visible()
    box.fill("no such words anywhere")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    # A word of the inputs, which stands in no column of the list.
    box.fill("Lindqvist")
    expect(rows.filter(has_text="nora.lindqvist@contoso.com").first).to_be_visible()
    page.locator(".os-chip", has_text="Kind").click()
    page.get_by_role("menuitemradio", name="Undo").click()
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(rows.first).to_be_visible()
    expect(box).to_have_value("")

    visit(owner, a_run(owner))
    page.get_by_role("tab", name="Steps").click()
    target = page.locator(".os-change p .os-mono").first.inner_text()
    page.locator("[data-history]").first.click()
    expect(page).to_have_url(re.compile(r"/c/contoso/history\?target="))
    expect(page.get_by_placeholder("What was done to… (address, id)")).to_have_value(target)
    kind, _, thing = target.partition(":")
    first = page.locator("tr[data-opens] .os-cell-main").first
    expect(first.locator("a.os-strong")).to_have_text(thing)
    expect(first).to_contain_text(kind)
    expect(page.locator("tr[data-opens]", has_text="m365.user").first).to_contain_text("Sign-in name")


def english_only() -> dict[str, re.Pattern[str]]:
    """English texts that differ from the French ones, as patterns of a whole text."""
    found = {}
    for key, sides in catalogue().items():
        forms = [sides["en"]] if isinstance(sides["en"], str) else list(sides["en"].values())
        french = [sides["fr"]] if isinstance(sides["fr"], str) else list(sides["fr"].values())
        for form in forms:
            if form not in french and len(form) > 3:
                pattern = "".join(
                    ".+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", form)
                )
                found[f"{key} {form}"] = re.compile(pattern)
    return found


def test_in_french_nothing_is_english(browser: Browser, product: Product, cookies: Any, owner: Person) -> None:
    run = a_run(owner)
    french = {
        form
        for sides in catalogue().values()
        for form in ([sides["fr"]] if isinstance(sides["fr"], str) else sides["fr"].values())
    }
    english = english_only()
    context = browser.new_context(storage_state=cookies, locale="fr-FR", viewport={"width": 1400, "height": 900})
    context.add_init_script("localStorage.setItem('opsloom.locale', 'fr')")
    page = context.new_page()
    drawn = f"/c/contoso/workflows/{product.json('workflow', 'list', '--client', 'contoso')[0]['id']}"
    for path in ("/sign-in", *PATHS, *DIALOGS, run, drawn):
        page.goto(f"{product.url}{path}")
        page.locator("html:not(.os-wait)").wait_for()
        if path == drawn:
            page.locator(".ob-root[data-phase=ready]").wait_for()
        elif path != "/sign-in":
            settle(page)
        assert page.evaluate("document.documentElement.lang") == "fr", path
        shown = set(page.evaluate(READ_ALL)) - french
        told = {(words, name) for words in shown for name, pattern in english.items() if pattern.fullmatch(words)}
        assert not told, path
        assert not [words for words in shown if LIBRARY_WORDS.match(words)], path
    context.close()


def test_the_language_changes_at_once_and_is_kept(owner: Person, page: Page) -> None:
    visit(owner, "/c/contoso/runs")
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Language").click()
    page.get_by_role("menuitemradio", name="Français").click()
    expect(page.locator(".os-header h1")).to_have_text("Exécutions")
    page.reload()
    expect(page.locator(".os-header h1")).to_have_text("Exécutions")
    page.get_by_role("button", name="Compte").click()
    page.get_by_role("menuitem", name="Langue").click()
    page.get_by_role("menuitemradio", name="English").click()
    expect(page.locator(".os-header h1")).to_have_text("Runs")


def test_a_client_that_is_not_there_shows_nothing(owner: Person, page: Page) -> None:
    owner.go("/c/no-such-client/runs")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    expect(page.get_by_role("link", name="Workflows")).to_have_count(0)


def test_the_list_is_worked_with_the_keyboard(owner: Person, page: Page) -> None:
    visit(owner, "/c/contoso/workflows")
    listed = page.get_by_role("region", name="List")
    listed.focus()
    page.keyboard.press("j")
    expect(page.locator("tbody tr").nth(1)).to_have_attribute("data-cursor", "true")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("1 selected")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("suspend")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("tbody tr")).not_to_have_count(1)
    listed.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/workflows/[0-9a-f-]{36}"))


def test_single_keys_can_be_switched_off(owner: Person, page: Page) -> None:
    visit(owner, "/c/contoso/workflows")
    page.evaluate("localStorage.setItem('opsloom.single_keys', 'off')")
    page.get_by_role("region", name="List").focus()
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_have_count(0)
    page.evaluate("localStorage.removeItem('opsloom.single_keys')")


def test_the_palette_goes_anywhere(owner: Person, page: Page) -> None:
    visit(owner, "/c/contoso/runs")
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Where to, or what to find?").fill("onboard")
    page.get_by_role("option", name=re.compile("Onboard an employee")).first.wait_for()
    page.keyboard.press("Control+k")
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Where to, or what to find?").fill("fabri")
    page.keyboard.press("Enter")
    page.wait_for_url("**/c/fabrikam")


def test_wrong_credentials_are_said_and_nothing_is_stored(owner: Person, page: Page) -> None:
    visit(owner, "/c/contoso/connections")
    before = page.locator("tbody tr").count()
    page.get_by_role("link", name="Add a connection").first.click()
    page.get_by_role("button", name="Microsoft 365").click()
    page.get_by_label("Alias").fill("second")
    page.get_by_label("Tenant").fill("contoso.onmicrosoft.com")
    page.get_by_role("button", name="Test and add").click()
    expect(page.locator("[data-field=client_id]")).to_contain_text("needed")
    page.get_by_label("Application (client) ID").fill("00000000-0000-0000-0000-000000000000")
    secret = page.get_by_label("Client secret")
    secret.fill("canary-not-the-secret")
    assert secret.get_attribute("type") == "password"
    page.get_by_role("button", name="Test and add").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(page.get_by_label("Tenant")).to_have_value("contoso.onmicrosoft.com")
    page.get_by_role("button", name="Close").click()
    page.reload()
    settle(page)
    assert page.locator("tbody tr").count() == before


def test_a_table_is_checked_before_anything_starts(owner: Person, page: Page) -> None:
    visit(owner, "/c/contoso/workflows")
    page.get_by_role("link", name="Plan or run").first.click()
    page.get_by_role("tab", name="From a table").click()
    names = page.locator(".os-dialog .os-mono").first.inner_text().split(", ")
    values = {"email": "zoé.o'neil@contoso.com", "department": "Sales"}
    good = ",".join(values.get(name, "Zoé") for name in names)
    bad = ",".join("not an address" if name == "email" else "x" for name in names)
    table = "\n".join((",".join(names), good, bad, good))
    file = {"name": "starters.csv", "mimeType": "text/csv", "buffer": table.encode("cp1252")}
    page.locator(".os-dialog input[type=file]").set_input_files(file)
    expect(page.get_by_text("1 row is right")).to_be_visible()
    expect(page.locator(".os-checked tr[data-wrong=true]")).to_have_count(2)
    expect(page.locator(".os-checked")).to_contain_text("email")
    expect(page.locator(".os-checked")).to_contain_text("same as row 1")
    page.keyboard.press("Escape")
    assert "start=" not in page.url


def test_a_file_that_is_no_workflow_is_refused(owner: Person, page: Page) -> None:
    visit(owner, "/c/contoso/workflows?new=1")
    file = {"name": "x.json", "mimeType": "application/json", "buffer": b"{not json"}
    page.locator(".os-dialog input[type=file]").set_input_files(file)
    expect(page.get_by_text("This file is not a workflow document")).to_be_visible()
    wrong = b'{"schema": "opsloom/workflow@1", "name": "Wrong", "nodes": [{"id": "A b", "type": "x"}], "edges": []}'
    page.locator(".os-dialog input[type=file]").set_input_files({**file, "buffer": wrong})
    expect(page.get_by_role("alert").first).to_be_visible()
    assert "new=1" in page.url


def test_a_file_whose_name_is_taken_becomes_a_version_or_gets_another_name(owner: Person, page: Page) -> None:
    name = f"Twice {uuid4().hex[:8]}"
    step = {"id": "a", "type": "flow.log", "params": {"message": "m"}}
    document = {"schema": "opsloom/workflow@1", "name": name, "nodes": [step], "edges": []}

    def choose(message: str) -> None:
        visit(owner, "/c/contoso/workflows?new=1")
        step["params"] = {"message": message}
        file = {"name": "x.json", "mimeType": "application/json", "buffer": json.dumps(document).encode()}
        page.locator(".os-dialog input[type=file]").set_input_files(file)

    choose("first")
    page.wait_for_url(re.compile("/workflows/[0-9a-f-]{36}"))
    first = page.url
    choose("second")
    expect(page.get_by_role("alert")).to_contain_text(f"There is a workflow called {name} already.")
    page.get_by_role("button", name=f"Add it as a new version of {name}").click()
    page.wait_for_url(first)
    expect(page.locator(".ob-version")).to_contain_text("Version 1")
    choose("third")
    page.get_by_role("button", name="Import under this name").click()
    page.wait_for_url(re.compile("/workflows/[0-9a-f-]{36}"))
    assert page.url != first
    expect(page.locator(".os-truncate", has_text=f"{name} 2").first).to_be_visible()


def test_signing_out_ends_the_session(browser: Browser, product: Product, cookies: Any, owner: Person) -> None:
    """Last, as it ends what the others use."""
    context = browser.new_context(storage_state=cookies, locale="en-GB", viewport={"width": 1400, "height": 900})
    context.add_init_script("localStorage.setItem('opsloom.locale', 'en')")
    page = context.new_page()
    page.goto(f"{product.url}/clients")
    settle(page)
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.wait_for_url(re.compile("/sign-in"))
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto(f"{product.url}/clients")
    page.wait_for_url(re.compile("/sign-in"))
    context.close()
