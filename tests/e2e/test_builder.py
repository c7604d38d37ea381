"""The builder in a browser: drawing by mouse and keyboard, what is wrong shown where it is, versions, plans, runs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Person, in_a_browser, sign_in
from tests.e2e.builder_page import BuilderPage, imported, log_step, middle
from tests.product import Product

pytestmark = in_a_browser(timeout_s=300)

DEPARTMENT = {"type": "object", "properties": {"department": {"type": "string"}, "email": {"type": "string"}}}
BEGUN = """() => {
  window.begun = [];
  const note = ({ target }) => target.closest(".ob-drawing") && window.begun.push(String(target.className));
  document.addEventListener("transitionrun", note, true);
}"""
AMBER = "one => getComputedStyle(one).getPropertyValue('--amber-3')"
CHAIN = [{"source": "a", "target": "b"}, {"source": "b", "target": "c"}]


@pytest.fixture
def line(product: Product, engineer: Person) -> Iterator[BuilderPage]:
    """Three steps in a row."""
    workflow = imported(product, [log_step("a"), log_step("b", 320), log_step("c", 640)], CHAIN)
    engineer.complaints.clear()
    yield BuilderPage.opened(engineer, workflow)
    assert engineer.complaints == []


@pytest.mark.parametrize("kind", ["flow.for_each", "flow.repeat_until", "flow.workflow"])
def test_a_step_that_holds_others(line: BuilderPage, kind: str) -> None:
    """It can be added, saved and shown; the steps inside it are written beside it, with what is wrong about each."""
    line.page.keyboard.press("n")
    line.add(kind)
    name = kind.removeprefix("flow.")
    line.expect_nodes("a", "b", "c", name)
    line.saved()
    inside, body = line.node(name).locator(".ob-inside"), line.page.locator(f"[data-body-of='{name}'] textarea")
    if kind == "flow.workflow":
        expect(inside).to_have_count(0)
        return
    expect(inside).to_have_text("No steps inside yet")
    beside = line.page.locator(f"[data-body-of='{name}']")
    body.fill("{ nodes")
    body.blur()
    expect(beside.get_by_role("alert")).to_contain_text("This is not JSON")
    body.fill(json.dumps({"nodes": [{"id": "inner", "type": "no.such_step"}]}))
    body.blur()
    expect(inside).to_have_text("1 step inside")
    expect(beside.locator(".os-error")).to_contain_text("inner")
    two = [{"id": one, "type": "flow.noop"} for one in ("one", "two")]
    body.fill(json.dumps({"nodes": two, "edges": [{"source": "one", "target": "two"}]}))
    body.blur()
    expect(inside).to_have_text("2 steps inside")
    expect(beside.locator(".os-error")).to_have_count(0)
    line.saved()


def test_the_canvas_has_the_colours_of_the_page(line: BuilderPage) -> None:
    for scheme in ("dark", "light"):
        line.page.emulate_media(color_scheme=scheme)
        expect(line.page.locator(f".react-flow.{scheme}")).to_be_visible()
        scales = [line.page.locator(where).first.evaluate(AMBER) for where in (".ob-root", ".ob-node")]
        assert scales[0] == scales[1], f"a badge on the canvas is not {scheme}"


def test_no_step_moves_when_light_turns_to_dark(line: BuilderPage) -> None:
    """A drawing of hundreds, all of whose steps begin a transition at once, stands still for seconds."""
    line.page.mouse.move(1, 1)
    line.page.evaluate(BEGUN)
    for motion, scheme in (("reduce", "dark"), ("no-preference", "light")):
        line.page.emulate_media(reduced_motion=motion, color_scheme=scheme)
        expect(line.page.locator(f".react-flow.{scheme}")).to_be_visible()
        # Transitions begin before the frame that they are first drawn in.
        line.page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        assert line.page.evaluate("() => window.begun") == [], motion
    # The same watch sees what does move: the step under the pointer.
    line.node("a").hover()
    line.page.wait_for_function("() => window.begun.length > 0")


def test_drawn_with_the_mouse(product: Product, engineer: Person) -> None:
    drawn = BuilderPage.opened(engineer, imported(product, [log_step("start")], inputs=DEPARTMENT))
    page = drawn.page

    page.locator("[data-add]").click()
    page.get_by_placeholder("Search steps").fill("create user")
    page.locator("[data-step='m365.user.create']").drag_to(
        page.locator(".ob-canvas"), target_position={"x": 480, "y": 250}
    )
    expect(drawn.node("create_user")).to_be_visible()
    drawn.expect_problems("4 problems")
    drawn.leave_panel()
    drawn.drag(drawn.port("start"), drawn.node("create_user").locator(".ob-in"))
    drawn.expect_problems("3 problems")

    drawn.node("create_user").locator(".ob-plus").click()
    drawn.add("condition")
    expect(drawn.node("condition")).to_be_visible()
    drawn.leave_panel()
    page.keyboard.press("1")
    drawn.settle()
    x, y = middle(drawn.port("condition", "true"))
    drawn.drag(drawn.port("condition", "true"), (x + 90, y - 120))
    drawn.add("approval")
    expect(drawn.node("approval")).to_be_visible()
    drawn.saved()
    drawn.expect_wires("condition|true|approval", "create_user|next|condition", "start|next|create_user")

    drawn.open()
    drawn.expect_nodes("approval", "condition", "create_user", "start")
    drawn.expect_wires("condition|true|approval", "create_user|next|condition", "start|next|create_user")


def test_no_wire_makes_a_circle(line: BuilderPage) -> None:
    line.drag(line.port("c"), line.node("a").locator(".ob-in"))
    line.settle()
    line.expect_wires("a|next|b", "b|next|c")


def test_a_field_takes_expressions_and_says_what_is_wrong_with_them(product: Product, engineer: Person) -> None:
    steps = [
        {"id": "make", "type": "flow.transform", "params": {"values": {"who": "{{ inputs.email }}"}}},
        {"id": "check", "type": "flow.condition", "params": {"expression": "true"}, "position": {"x": 320, "y": 0}},
        log_step("say", 640),
    ]
    wires = [{"source": "make", "target": "check"}, {"source": "check", "target": "say", "port": "true"}]
    drawn = BuilderPage.opened(engineer, imported(product, steps, wires, inputs=DEPARTMENT))
    drawn.open_step("check")
    field = drawn.field("expression").locator("input")
    field.fill("inputs.departmen == 'Engineering'")
    expect(drawn.field("expression").locator(".os-error")).to_be_visible()
    drawn.expect_problems("1 problem")
    field.fill("inputs.department == 'Engineering'")
    expect(drawn.field("expression").locator(".os-error")).to_have_count(0)
    drawn.expect_problems("No problems")

    drawn.page.keyboard.press("Escape")
    drawn.open_step("say")
    message = drawn.field("message").locator("input, textarea").first
    message.fill("")
    drawn.field("message").get_by_role("button", name="Insert").click()
    drawn.page.locator(".os-choices").get_by_text("who", exact=True).first.click()
    expect(message).to_have_value("{{ steps.make.output.who }}")
    drawn.saved()


def test_a_reference_to_what_is_not_before_is_said_on_the_step(line: BuilderPage) -> None:
    line.open_step("a")
    line.field("message").locator("input, textarea").first.fill("{{ steps.c.output }}")
    line.expect_problems("1 problem")
    expect(line.node("a")).to_have_attribute("data-ring", "invalid")
    line.page.locator(".ob-problems").click()
    line.page.locator("[data-panel=problems] .ob-choice").click()
    expect(line.field("message").locator(".os-error")).to_be_visible()


def test_choices_come_from_the_tenant(product: Product, engineer: Person) -> None:
    assign = {
        "id": "assign",
        "type": "m365.licence.assign",
        "connection": "m365",
        "params": {"user": "anna.berg@contoso.com"},
    }
    drawn = BuilderPage.opened(engineer, imported(product, [log_step("start")]))
    paste(drawn, {"clip": "opsloom/clip@1", "nodes": [assign], "edges": []})
    drawn.open_step("assign")
    drawn.field("licences").locator(".os-live-button").click()
    rows = drawn.page.locator(".os-choices [role=option]")
    expect(rows.first).to_be_visible()
    expect(rows.first.locator(".os-tiny")).not_to_be_empty()
    rows.first.click()
    drawn.page.keyboard.press("Escape")
    expect(drawn.field("licences").locator(".os-token")).to_have_count(1)


_PASTE = """text => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""


def paste(drawn: BuilderPage, clip: dict[str, object]) -> None:
    drawn.page.evaluate(_PASTE, json.dumps(clip))


def test_copied_pasted_deleted_and_taken_back(line: BuilderPage) -> None:
    keyboard = line.page.keyboard
    keyboard.press("Control+a")
    keyboard.press("Control+d")
    line.expect_nodes("a", "b", "c", "log", "log_2", "log_3")
    line.expect_wires("a|next|b", "b|next|c", "log_2|next|log_3", "log|next|log_2")
    keyboard.press("Delete")
    line.expect_nodes("a", "b", "c")
    keyboard.press("Control+z")
    line.expect_nodes("a", "b", "c", "log", "log_2", "log_3")
    keyboard.press("Control+z")
    line.expect_nodes("a", "b", "c")
    keyboard.press("Control+Shift+z")
    line.expect_nodes("a", "b", "c", "log", "log_2", "log_3")
    keyboard.press("Control+z")
    line.saved()
    line.open()
    line.expect_nodes("a", "b", "c")


def test_a_step_out_of_the_middle_joins_its_neighbours(line: BuilderPage) -> None:
    line.node("b").click(position={"x": 60, "y": 30})
    line.leave_panel()
    line.page.keyboard.press("Delete")
    line.expect_wires("a|next|c")
    line.page.keyboard.press("Control+z")
    line.expect_wires("a|next|b", "b|next|c")


def test_a_step_is_put_into_a_wire(line: BuilderPage) -> None:
    line.page.locator("[data-wire='a|next|b']").hover()
    line.page.locator("[data-wire='a|next|b'] button").first.click()
    line.add("transform")
    expect(line.node("transform")).to_be_visible()
    line.expect_wires("a|next|transform", "b|next|c", "transform|next|b")


def test_keys_do_nothing_while_somebody_types(line: BuilderPage) -> None:
    line.open_step("a")
    message = line.field("message").locator("input, textarea").first
    message.fill("")
    message.type("n d 1")
    message.press("Delete")
    line.expect_nodes("a", "b", "c")
    expect(message).to_have_value("n d 1")
    expect(line.page.locator("[data-panel=steps]")).to_have_count(0)


def test_the_keyboard_alone_is_enough(line: BuilderPage) -> None:
    keyboard = line.page.keyboard
    line.page.locator(".ob-root").focus()
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("n")
    line.add("transform")
    expect(line.node("transform")).to_be_visible()
    keyboard.press("Escape")
    keyboard.press("Shift+Alt+T")
    keyboard.press("?")
    expect(line.page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    keyboard.press("Escape")
    keyboard.press("Control+s")
    expect(line.page.get_by_role("dialog")).to_contain_text("Save as version")
    line.page.keyboard.press("Escape")


def test_versions_are_saved_compared_restored_and_published(line: BuilderPage) -> None:
    page = line.page
    line.open_step("a")
    line.field("message").locator("input, textarea").first.fill("second")
    line.leave_panel()
    line.saved()
    line.expect_problems("No problems")
    page.keyboard.press("Control+s")
    page.get_by_label("What changed").fill("Another message")
    page.get_by_role("dialog").get_by_role("button", name="Save version").click()
    expect(page.locator(".ob-version")).to_contain_text("Version 2")
    page.locator(".ob-version").click()
    expect(page.locator("[data-version='2']")).to_contain_text("Another message")
    page.locator("[data-version='1']").click()
    expect(page.locator(".ob-differences")).to_contain_text("second")
    page.get_by_role("button", name="Restore").click()
    expect(page.locator(".ob-version-one")).to_contain_text("Nothing: it is what is drawn now.")
    page.locator("[data-panel=versions]").get_by_role("button", name="All versions").click()
    page.locator("[data-version='2']").click()
    expect(page.locator(".ob-version-one h3")).to_have_text("Version 2")
    page.locator(".ob-version-one").get_by_role("button", name="Publish", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.locator(".os-toasts")).to_contain_text("Version 2 is published.")


def test_a_workflow_is_run_live_on_the_canvas(product: Product, engineer: Person) -> None:
    make = {"id": "make", "type": "flow.transform", "params": {"values": {"who": "{{ inputs.email + '!' }}"}}}
    wires = [{"source": "make", "target": "say"}]
    drawn = BuilderPage.opened(engineer, imported(product, [make, log_step("say", 320)], wires, inputs=DEPARTMENT))
    page = drawn.page
    page.locator("[data-action=run]").click()
    page.get_by_role("dialog").locator("[data-field=email] input").fill("zoé@contoso.com")
    page.get_by_role("dialog").get_by_role("button", name="Run", exact=True).click()
    for name in ("make", "say"):
        expect(drawn.node(name)).to_have_attribute("data-ring", "succeeded")
    drawn.open_step("make")
    page.get_by_role("tab", name="Output").click()
    expect(page.locator("[data-panel=node]")).to_contain_text("zoé@contoso.com!")
    drawn.open_step("say")
    page.get_by_role("tab", name="Parameters").click()
    drawn.field("message").locator("input, textarea").first.fill("changed since")
    expect(drawn.node("say")).to_have_attribute("data-ring", "dirty")


def test_one_step_is_planned_alone(line: BuilderPage) -> None:
    line.open_step("b")
    line.page.locator("[data-action=plan-step]").click()
    line.page.get_by_role("dialog").get_by_role("button", name="Plan", exact=True).click()
    expect(line.page.locator("[data-panel=plan]")).to_be_visible()
    expect(line.page.locator("[data-action=run-plan]")).to_be_disabled()


def test_who_only_looks_changes_nothing(browser: Browser, product: Product) -> None:
    viewer = sign_in(browser, product, "viewer")
    seen = BuilderPage.opened(viewer, imported(product, [log_step("a"), log_step("b", 320)], CHAIN[:1]))
    expect(viewer.page.locator(".ob-saved")).to_contain_text("Read only")
    assert viewer.page.locator("[data-add], [data-action=save], [data-action=publish], [data-action=run]").count() == 0
    seen.node("a").click(position={"x": 60, "y": 30})
    expect(seen.field("message").locator("input, textarea").first).not_to_be_editable()
    seen.leave_panel()
    viewer.page.keyboard.press("Delete")
    seen.expect_nodes("a", "b")
    assert viewer.complaints == []
