"""The whole job in a browser: draw, publish, plan, have it approved, watch it run, hand over the password, undo."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import uuid4

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser import Person, in_a_browser
from tests.e2e.builder_page import CLIENT, BuilderPage, middle
from tests.product import Product

pytestmark = in_a_browser(timeout_s=420)

# Somebody new each time, so that a stack which has seen this test before can be tested again.
ADA = f"ada.lovelace.{uuid4().hex[:6]}@contoso.com"
ANNA = "anna.berg@contoso.com"
FRESH_CODE = "A fresh code from your authenticator app"


def people(product: Product) -> dict[str, Any]:
    """The Microsoft 365 tenant of Contoso, as its simulator holds it, without what undo says it cannot give back."""
    url = product.json("status")["parts"]["simulators"]["m365"]["url"]
    dump = httpx.get(f"{url}/_sim/dump", params={"tenant": "contoso"}, verify=False, trust_env=False).json()
    return without_sessions(dump)


def without_sessions(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_sessions(item) for key, item in value.items() if "Sessions" not in key}
    return [without_sessions(item) for item in value] if isinstance(value, list) else value


def new_workflow(person: Person, name: str, **inputs: str) -> BuilderPage:
    """An empty drawing that asks for ``inputs``, each of the kind that is named."""
    page = person.page
    person.go(f"/c/{CLIENT}/workflows")
    page.get_by_role("button", name="New workflow").or_(page.get_by_role("link", name="New workflow")).first.click()
    page.get_by_role("dialog").get_by_label("Name").fill(name)
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    page.wait_for_url(re.compile(r"/workflows/[0-9a-f-]{36}$"))
    drawn = BuilderPage.opened(person, page.url.rpartition("/")[2])
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Inputs and rules").click()
    for title, kind in inputs.items():
        page.get_by_label("New input").fill(title.replace("_", " "))
        page.locator(".ob-add-input select").select_option(kind)
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator(f"[data-input={title}]")).to_be_visible()
    drawn.leave_panel()
    return drawn


def insert(field: Locator, *paths: str) -> None:
    """Put values of the workflow into a field, by click."""
    page = field.page
    for path in paths:
        field.get_by_role("button", name="Insert a value of the workflow").click()
        page.locator(f".os-popover button:has(.os-mono:text-is('{path}'))").first.click()
        expect(page.locator(".os-popover")).to_have_count(0)
        if path != paths[-1]:
            field.locator("input").press("End")
            field.locator("input").press_sequentially(" ")


def choose(field: Locator, words: str) -> None:
    """Choose from what the tenant has."""
    field.locator(".os-live-button").click()
    field.page.locator(".os-choices [role=option]", has_text=words).first.click()
    field.page.keyboard.press("Escape")
    expect(field.locator(".os-token")).to_have_count(1)


def draw_onboarding(drawn: BuilderPage) -> None:
    """Account, licence, groups; for engineers a question to a person, then a machine."""
    page = drawn.page
    page.locator("[data-add]").click()
    drop(drawn, "create user", "m365.user.create", (300, 200))
    insert(drawn.field("user_principal_name"), "email")
    insert(drawn.field("display_name"), "first_name", "last_name")
    insert(drawn.field("department"), "department")
    insert(drawn.field("usage_location"), "country")
    page.locator(".ob-panel-head .os-icon-button").last.click()
    drop(drawn, "assign licence", "m365.licence.assign", (300, 380))
    drawn.leave_panel()
    drawn.drag(drawn.port("create_user"), drawn.node("assign_licence").locator(".ob-in"))
    drawn.expect_wires("create_user|next|assign_licence")
    drawn.open_step("assign_licence")
    insert(drawn.field("user"), "user_principal_name")
    choose(drawn.field("licences"), "Office 365 E3")

    grow(drawn, "assign_licence", "next", "add group", "add_member_group")
    insert(drawn.field("user"), "user_principal_name")
    choose(drawn.field("groups"), "All Staff")
    grow(drawn, "add_member_group", "next", "condition", "condition")
    insert(drawn.field("expression"), "department")
    drawn.field("expression").locator("input").press("End")
    drawn.field("expression").locator("input").press_sequentially(" == 'Engineering'")
    grow(drawn, "condition", "true", "approval", "approval")
    drawn.field("title").locator("input").fill("A machine?")
    grow(drawn, "approval", "approved", "run instance", "run_instance")
    drawn.field("name").locator("input").fill("ws-1")
    insert(drawn.field("image"), "workstation_image")
    drawn.leave_panel()


def drop(drawn: BuilderPage, words: str, step: str, at: tuple[float, float]) -> None:
    """Drag a step out of the palette onto the canvas."""
    drawn.page.get_by_placeholder("Search steps").fill(words)
    target = {"x": at[0], "y": at[1]}
    drawn.page.locator(f"[data-step='{step}']").drag_to(drawn.page.locator(".ob-canvas"), target_position=target)
    expect(drawn.page.locator("[data-panel=node]")).to_be_visible()


def grow(drawn: BuilderPage, node: str, port: str, words: str, made: str) -> None:
    """Drag a port into the empty and choose what follows."""
    drawn.leave_panel()
    drawn.settle()
    x, y = middle(drawn.port(node, port))
    drawn.drag(drawn.port(node, port), (x + 60, y + 90))
    drawn.add(words)
    expect(drawn.node(made)).to_be_visible()
    expect(drawn.page.locator("[data-panel=node]")).to_be_visible()


def test_a_new_starter_is_drawn_planned_approved_run_and_undone(
    product: Product, engineer: Person, approver: Person
) -> None:
    before = people(product)
    drawn = new_workflow(
        engineer, f"Onboard {uuid4().hex[:6]}", email="email", first_name="text", last_name="text", department="text"
    )
    draw_onboarding(drawn)
    drawn.expect_problems("No problems")
    drawn.saved()
    page = drawn.page
    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.locator(".ob-version")).to_have_attribute("data-state", "published")

    run = planned_and_approved(
        drawn, approver, ADA, email=ADA, first_name="Ada", last_name="L'Ovelace", department="Finance"
    )
    assert people(product) != before
    for name in ("create_user", "assign_licence", "add_member_group", "condition"):
        expect(drawn.node(name)).to_have_attribute("data-ring", "succeeded")
    for name in ("approval", "run_instance"):
        expect(drawn.node(name)).to_have_attribute("data-ring", "skipped")
    assert ADA in str(people(product))
    hand_over_the_password(engineer, run)
    undone(product, engineer, approver, run, ADA)
    assert people(product) == before, "an undo gives back what was there"
    assert engineer.complaints + approver.complaints == []


def test_a_suspension_is_undone_to_exactly_what_was(product: Product, engineer: Person, approver: Person) -> None:
    before = people(product)
    engineer.go(f"/c/{CLIENT}/workflows")
    engineer.page.get_by_text("Suspend an employee", exact=True).first.click()
    engineer.page.wait_for_url(re.compile(r"/workflows/[0-9a-f-]{36}$"))
    drawn = BuilderPage(engineer, engineer.page.url.rpartition("/")[2])
    run = planned_and_approved(drawn, approver, ANNA, email=ANNA)
    assert people(product) != before
    undone(product, engineer, approver, run, ANNA)
    assert people(product) == before
    assert engineer.complaints + approver.complaints == []


def test_the_same_workflow_starts_a_machine_at_another_client(
    product: Product, engineer: Person, approver: Person
) -> None:
    """Unedited, with that client's own connections; two questions: the plan, and the machine."""
    newcomer, ours = f"ines.moreau.{uuid4().hex[:6]}@fabrikam.fr", people(product)
    before = machines(product)
    page = engineer.page
    engineer.go("/c/fabrikam/workflows")
    page.get_by_text("Onboard an employee", exact=True).first.click()
    page.wait_for_url(re.compile(r"/c/fabrikam/workflows/[0-9a-f-]{36}$"))
    page.locator("[data-action=plan]").click()
    form = page.get_by_role("dialog")
    for name, value in {"email": newcomer, "first_name": "Inès", "last_name": "Moreau"}.items():
        form.locator(f"[data-field={name}] input").fill(value)
    form.locator("[data-field=department] select").select_option("Engineering")
    form.get_by_role("button", name="Plan", exact=True).click()
    page.locator("[data-action=run-plan]").click()
    run = str(page.get_by_role("link", name="Open the run").get_attribute("href"))
    for _ in range(2):
        approve(approver, newcomer, client="fabrikam")
    engineer.go(run)
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible()
    made = [one for one in machines(product) if one not in before]
    assert [client for client, _ in made] == ["fabrikam"]
    assert people(product) == ours, "nothing happened at the first client"
    assert engineer.complaints + approver.complaints == []


def machines(product: Product) -> list[tuple[str, str]]:
    """Client and id of each machine that there is."""
    dump = json.loads(product.opsloom("sandbox", "dump", "aws").stdout)
    return [(client, one["instance_id"]) for client, account in dump.items() for one in account["instances"]]


def planned_and_approved(drawn: BuilderPage, approver: Person, label: str, **inputs: str) -> str:
    """Plan it, run the plan, have a second person agree, watch it to its end; the address of the run."""
    page = drawn.page
    before = people(drawn.person.product)
    page.locator("[data-action=plan]").click()
    form = page.get_by_role("dialog")
    for name, value in inputs.items():
        form.locator(f"[data-field={name}] input").fill(value)
    form.get_by_role("button", name="Plan", exact=True).click()
    expect(page.locator("[data-action=run-plan]")).to_be_enabled()
    assert people(drawn.person.product) == before, "a plan writes nothing"
    page.locator("[data-action=run-plan]").click()
    link = page.get_by_role("link", name="Open the run")
    expect(link).to_be_visible()
    run = str(link.get_attribute("href"))
    approve(approver, label)
    expect(page.locator("[data-panel=run]").get_by_text("Succeeded", exact=True).first).to_be_visible()
    return run


def approve(person: Person, label: str, client: str = CLIENT) -> None:
    person.go(f"/c/{client}/approvals")
    person.page.get_by_text(label).first.click()
    person.page.get_by_label(FRESH_CODE).fill(person.code())
    person.page.get_by_role("button", name="Approve", exact=True).click()
    expect(person.page.get_by_label(FRESH_CODE)).to_have_count(0)


def hand_over_the_password(person: Person, run: str) -> None:
    """The link shows the password once, to whoever has it."""
    person.go(run)
    person.page.get_by_role("button", name="Make a one-time link").click()
    url = str(person.page.get_by_label("One-time link").input_value())
    guest: Page = person.page.context.browser.new_context(locale="en-GB").new_page()  # type: ignore[union-attr]
    guest.goto(url)
    guest.get_by_role("button").first.click()
    expect(guest.locator("output.secret")).not_to_be_empty()
    guest.context.close()


def undone(product: Product, person: Person, approver: Person, run: str, label: str) -> None:
    """Undo the run, which is a run of its own that a second person agrees to."""
    page = person.page
    person.go(run)
    page.get_by_role("button", name=re.compile("^Undo")).first.click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^Undo")).last.click()
    expect(page).not_to_have_url(re.compile(re.escape(run) + "$"))
    expect(page.get_by_text("Waiting", exact=True).first).to_be_visible()
    approve(approver, label)
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible()
