"""No edit is lost: a lost connection, a reload, a closed tab, two people at the same workflow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.browser import Person, in_a_browser
from tests.e2e.builder_page import BuilderPage, imported, log_step
from tests.product import Product

pytestmark = in_a_browser(timeout_s=300)


def pair(product: Product) -> str:
    return imported(product, [log_step("a"), log_step("b", 320)], [{"source": "a", "target": "b"}])


def message(drawn: BuilderPage, step: str) -> Locator:
    """The field of a step that these tests write in."""
    drawn.open_step(step)
    return drawn.field("message").locator("input, textarea").first


def say(drawn: BuilderPage, step: str, words: str) -> None:
    message(drawn, step).fill(words)


def expect_said(drawn: BuilderPage, step: str, words: str) -> None:
    expect(message(drawn, step)).to_have_value(words)


def test_edits_made_without_a_connection_are_sent_when_it_is_back(product: Product, engineer: Person) -> None:
    drawn = BuilderPage.opened(engineer, pair(product))
    drawn.page.context.set_offline(True)
    say(drawn, "a", "offline")
    expect(drawn.page.locator(".ob-saved")).to_have_attribute("data-standing", "late")
    drawn.page.context.set_offline(False)
    drawn.saved()
    drawn.open()
    expect_said(drawn, "a", "offline")


def cut_off(person: Person) -> None:
    """From now on nothing that this page sends arrives."""
    person.page.evaluate("() => { WebSocket.prototype.send = () => {}; }")


def kept(drawn: BuilderPage) -> int:
    """How many edits the browser keeps on its disk until the server has them."""
    return int(drawn.page.evaluate(_KEPT))


_KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open("opsloom-builder", 1);
  opening.onsuccess = () => {
    const counting = opening.result.transaction("ops").objectStore("ops").count();
    counting.onsuccess = () => { opening.result.close(); resolve(counting.result); };
  };
})"""


def test_edits_survive_a_reload_before_they_were_sent(product: Product, engineer: Person) -> None:
    drawn = BuilderPage.opened(engineer, pair(product))
    wait_until(lambda: kept(drawn) == 0)
    cut_off(engineer)
    say(drawn, "a", "before the reload")
    wait_until(lambda: kept(drawn) == 1)
    drawn.open()
    expect_said(drawn, "a", "before the reload")
    drawn.saved()
    wait_until(lambda: kept(drawn) == 0)
    drawn.open()
    expect_said(drawn, "a", "before the reload")


def test_a_tab_that_was_closed_leaves_its_edits_to_the_next(product: Product, engineer: Person) -> None:
    workflow = pair(product)
    first = replace(engineer, page=engineer.page.context.new_page())
    drawn = BuilderPage.opened(first, workflow)
    cut_off(first)
    say(drawn, "b", "from the closed tab")
    wait_until(lambda: kept(drawn) == 1)
    first.page.close()
    again = BuilderPage.opened(engineer, workflow)
    expect(again.node("b")).to_be_visible()
    expect_said(again, "b", "from the closed tab")
    again.saved()


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it does not come true"
        time.sleep(0.2)


def test_two_people_at_different_things_are_put_together(product: Product, engineer: Person, owner: Person) -> None:
    workflow = pair(product)
    one, other = BuilderPage.opened(engineer, workflow), BuilderPage.opened(owner, workflow)
    say(one, "a", "by the engineer")
    one.saved()
    say(other, "b", "by the owner")
    expect(other.page.locator(".os-toasts")).to_contain_text("Your edits were kept.")
    other.saved()
    other.open()
    expect_said(other, "a", "by the engineer")
    expect_said(other, "b", "by the owner")


@pytest.mark.parametrize(("choice", "stays"), [(0, "by the owner"), (1, "by the engineer")], ids=["mine", "theirs"])
def test_two_people_at_the_same_thing_are_asked(
    product: Product, engineer: Person, owner: Person, choice: int, stays: str
) -> None:
    workflow = pair(product)
    one, other = BuilderPage.opened(engineer, workflow), BuilderPage.opened(owner, workflow)
    say(one, "a", "by the engineer")
    one.saved()
    say(other, "a", "by the owner")
    dialog = other.page.get_by_role("dialog")
    expect(dialog).to_contain_text("by the engineer")
    expect(dialog).to_contain_text("by the owner")
    dialog.locator(".ob-side").nth(choice).click()
    dialog.get_by_role("button", name="Keep these").click()
    other.saved()
    other.open()
    expect_said(other, "a", stays)


def test_an_edit_of_a_step_that_was_deleted_is_asked_about(product: Product, engineer: Person, owner: Person) -> None:
    workflow = pair(product)
    one, other = BuilderPage.opened(engineer, workflow), BuilderPage.opened(owner, workflow)
    one.node("b").click(position={"x": 60, "y": 30})
    one.leave_panel()
    one.page.keyboard.press("Delete")
    one.saved()
    say(other, "b", "still wanted")
    dialog = other.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Keep these").click()
    other.saved()
    other.open()
    expect_said(other, "b", "still wanted")
