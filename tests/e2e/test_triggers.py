"""Triggers in a real browser: a schedule that starts a run, and a webhook whose secret is shown once."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from app.core.ids import new_id
from tests.e2e.browser import Person, in_a_browser, visit

pytestmark = in_a_browser(timeout_s=420)


def begin(engineer: Person, kind: str) -> tuple[Page, str]:
    """The form for a trigger of this kind over the demonstration's workflow that suspends somebody, and its name."""
    page = visit(engineer, "/c/contoso/triggers?add=1")
    page.get_by_role("dialog").get_by_role("button", name=kind).click()
    name = f"{kind} {new_id().hex[-6:]}"
    page.locator("[data-field=name] input").fill(name)
    chosen = page.locator("[data-field=workflow] select")
    chosen.select_option(label=next(label for label in chosen.locator("option").all_inner_texts() if "uspend" in label))
    page.locator('[data-field^="input:"]').first.wait_for()
    return page, name


def test_a_schedule_is_refused_mended_and_fired(engineer: Person) -> None:
    engineer.complaints.clear()
    page, name = begin(engineer, "Schedule")
    page.locator('[data-field^="input:"] input').first.fill("adele.vance@contoso.example")
    page.locator("[data-field=cron] input").fill("0 0 30 2 *")
    page.get_by_role("button", name="Add and switch on").click()
    expect(page.locator("[data-field=cron] .os-error")).to_contain_text("never comes")
    page.locator("[data-field=cron] input").fill("30 2 * * 1-5")
    page.locator("[data-field=priority] select").select_option("High")
    page.get_by_role("button", name="Add and switch on").click()
    page.get_by_role("link", name=name).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("In the name of")
    dialog.get_by_role("button", name="Start now").click()
    page.wait_for_url("**/runs/*")
    expect(page.locator(".os-facts").first).to_contain_text("high priority")
    visit(engineer, "/c/contoso/triggers")
    page.get_by_role("link", name=name).click()
    expect(dialog.locator("[data-state=started]")).to_be_visible()
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog.get_by_role("button", name="Switch on")).to_be_visible()
    # Changing it takes it as it is, and what the form has no field for stays.
    dialog.get_by_role("button", name="Change").click()
    cron = page.locator("[data-field=cron] input")
    expect(cron).to_have_value("30 2 * * 1-5")
    expect(page.locator("[data-field=priority] select")).to_have_value("high")
    expect(page.locator('[data-field^="input:"] input').first).to_have_value("adele.vance@contoso.example")
    cron.fill("45 3 * * 1-5")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name=name).click()
    expect(dialog).to_contain_text("45 3 * * 1-5")
    expect(dialog.get_by_role("button", name="Switch on")).to_be_visible()
    assert [said for said in engineer.complaints if "422" not in said] == []


def test_a_webhooks_secret_is_shown_once(engineer: Person) -> None:
    page, name = begin(engineer, "Webhook")
    page.locator('[data-field^="input:"] input').first.fill("{{ payload.user }}")
    page.get_by_role("button", name="Add and switch on").click()
    handed = page.get_by_role("dialog").locator("input[readonly]")
    expect(handed).to_have_count(2)
    secret = handed.nth(1).input_value()
    assert secret.startswith("whsec_")
    visit(engineer, "/c/contoso/triggers")
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("dialog")).to_contain_text("/api/v1/hooks/")
    assert secret not in page.content()
