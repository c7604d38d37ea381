"""The builder's rules, of a step and of runs as a whole; room for names when tidied; what is said in passing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.browser import Person, in_a_browser
from tests.e2e.builder_page import CLIENT, BuilderPage, imported, log_step
from tests.product import Product

pytestmark = in_a_browser(timeout_s=300)


@pytest.fixture
def pair(product: Product, engineer: Person) -> Iterator[BuilderPage]:
    """Two steps in a row."""
    engineer.complaints.clear()
    nodes = [log_step("a"), log_step("b", 320)]
    yield BuilderPage.opened(engineer, imported(product, nodes, [{"source": "a", "target": "b"}]))
    assert engineer.complaints == []


def draft(product: Product, drawn: BuilderPage) -> dict[str, Any]:
    """The document as the server has it, once it has everything."""
    drawn.saved()
    return dict(json.loads(product.opsloom("workflow", "export", drawn.workflow, "--client", CLIENT).stdout))


def number(place: Locator, label: str, value: str) -> None:
    field = place.get_by_label(label)
    field.fill(value)
    field.press("Enter")


def test_how_a_step_is_tried_again_and_what_its_error_does(product: Product, pair: BuilderPage) -> None:
    page = pair.page
    pair.open_step("a")
    page.get_by_role("tab", name="Settings").click()
    settings = page.locator(".ob-settings")
    expect(settings.locator("[data-remedy]")).to_have_count(0)
    number(settings, "Attempts in all", "4")
    number(settings, "First wait", "7")
    settings.get_by_label("Then").select_option("fixed")
    settings.locator("[data-remedy=Conflict]").check()
    settings.locator("[data-remedy=Throttled]").uncheck()
    # Beyond its bounds it is the bound.
    number(settings, "Time limit", "99999999")
    expect(settings.get_by_label("Time limit")).to_have_value("2592000")
    settings.locator("[data-on-error=branch]").check()
    expect(pair.port("a", "error")).to_have_count(1)
    node = draft(product, pair)["nodes"][0]
    assert node["timeout_s"] == 2_592_000
    assert node["on_error"] == "branch"
    retry = node["retry"]
    assert (retry["attempts"], retry["delay_s"], retry["backoff"]) == (4, 7, "fixed")
    assert set(retry["on"]) == {"Retryable", "Conflict"}
    # One try is no rule; what was taken away is gone from the canvas too.
    number(settings, "Attempts in all", "1")
    settings.locator("[data-on-error=stop]").check()
    expect(pair.port("a", "error")).to_have_count(0)
    node = draft(product, pair)["nodes"][0]
    assert (node.get("retry"), node.get("on_error", "stop")) == (None, "stop")


def test_what_becomes_of_runs_as_a_whole(product: Product, pair: BuilderPage) -> None:
    page = pair.page
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Inputs and rules").click()
    panel = page.locator(".ob-panel")
    panel.locator("[data-rule=on_failure]").select_option("compensate")
    panel.locator("[data-rule=on_cancel]").select_option("compensate")
    assert panel.locator("[data-rule=policy]").count() == 0
    key = panel.locator("[data-rule=key]")
    key.fill("{{ client.country }}")
    key.press("Tab")
    panel.locator("[data-rule=policy]").select_option("replace")
    number(panel, "At the same time", "3")
    document = draft(product, pair)
    assert (document["on_failure"], document["on_cancel"]) == ("compensate", "compensate")
    kept = document["concurrency"]
    assert (kept["key"], kept["limit"], kept["policy"]) == ("{{ client.country }}", 3, "replace")
    # What is wrong with a rule is said at the rules.
    handler = panel.locator("[data-rule=error_handler]")
    handler.fill("No such workflow")
    handler.press("Tab")
    expect(panel.locator(".os-callout")).to_contain_text("No such workflow")
    handler.fill("")
    handler.press("Tab")
    key.fill("")
    key.press("Tab")
    expect(panel.locator(".os-callout")).to_have_count(0)
    document = draft(product, pair)
    assert (document.get("concurrency"), document.get("error_handler")) == (None, None)


def test_tidied_steps_leave_room_for_the_names_of_ports(product: Product, engineer: Person) -> None:
    cases = [{"name": name, "when": "true"} for name in ("people_from_elsewhere", "sales")]
    nodes = [{"id": "which", "type": "flow.switch", "params": {"cases": cases}, "position": {"x": 0, "y": 0}}]
    nodes += [log_step("x", 10, 10), log_step("y", 20, 20)]
    edges = [{"source": "which", "target": "x", "port": "people_from_elsewhere"},
             {"source": "which", "target": "y", "port": "sales"}]  # fmt: skip
    drawn = BuilderPage.opened(engineer, imported(product, nodes, edges))
    drawn.page.get_by_role("button", name="Tidy up").click()
    drawn.saved()
    drawn.settle()
    name = drawn.node("which").locator(".ob-port-label").first.bounding_box()
    after = drawn.node("x").bounding_box()
    assert name
    assert after
    assert name["x"] + name["width"] < after["x"]


def test_a_form_stands_still_while_problems_come_and_go(product: Product, engineer: Person) -> None:
    """Else whoever clicks what stands below a field clicks something else."""
    node = {"id": "vm", "type": "aws.instance.run", "connection": "aws", "params": {"name": "ws-1", "image": "ami-1"}}
    drawn = BuilderPage.opened(engineer, imported(product, [{**node, "position": {"x": 0, "y": 0}}]))
    drawn.open_step("vm")
    name, below = drawn.field("name"), drawn.field("image")
    expect(name.locator(".os-help")).to_be_visible()
    place = below.bounding_box()
    name.locator("input").fill("")
    expect(name.locator(".os-error")).to_be_visible()
    assert below.bounding_box() == place
    assert name.locator("input").get_attribute("aria-describedby") == name.locator("[role=alert]").get_attribute("id")
    name.locator("input").fill("ws-2")
    expect(name.locator(".os-error")).to_have_count(0)
    assert below.bounding_box() == place


def test_what_is_said_in_passing_does_not_cover_what_can_be_done(pair: BuilderPage) -> None:
    page = pair.page
    pair.open_step("a")
    pair.leave_panel()
    page.locator("[data-action=plan]").click()
    page.get_by_role("dialog").get_by_role("button", name="Plan", exact=True).click()
    begin, toast = page.locator("[data-action=run-plan]"), page.locator(".os-toast").last
    expect(begin).to_be_visible()
    page.locator(".ob-root").focus()
    page.keyboard.press("Control+c")
    expect(toast).to_contain_text("copied")
    said, button = toast.bounding_box(), begin.bounding_box()
    assert said
    assert button
    assert said["x"] + said["width"] <= button["x"]
