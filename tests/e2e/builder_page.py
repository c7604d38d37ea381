"""The builder's page, driven as a person drives it: mouse drags, keys, forms."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser import PATIENCE_MS, Person
from tests.product import Product

CLIENT = "contoso"


def imported(
    product: Product, nodes: Sequence[dict[str, Any]], edges: Sequence[dict[str, Any]] = (), **more: Any
) -> str:
    """The id of a new workflow in the demo's first client."""
    document = {
        "schema": "opsloom/workflow@1",
        "name": f"Test {uuid4().hex[:8]}",
        "nodes": nodes,
        "edges": edges,
        **more,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        return str(product.json("workflow", "import", file.name, "--client", CLIENT)["id"])


def log_step(name: str, x: int = 0, y: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "flow.log", "params": {"message": "m"}, "position": {"x": x, "y": y}, **more}


@dataclass
class BuilderPage:
    """One tab with the builder open."""

    person: Person
    workflow: str

    @classmethod
    def opened(cls, person: Person, workflow: str) -> BuilderPage:
        found = cls(person, workflow)
        found.open()
        return found

    @property
    def page(self) -> Page:
        return self.person.page

    def open(self) -> None:
        self.page.emulate_media(reduced_motion="reduce")
        self.person.go(f"/c/{CLIENT}/workflows/{self.workflow}")
        expect(self.page.locator(".ob-root[data-phase=ready]")).to_be_visible()

    def node(self, name: str) -> Locator:
        return self.page.locator(f".ob-node[data-node={name}]")

    def nodes(self) -> list[str]:
        return sorted(self.page.locator(".ob-node").evaluate_all("found => found.map((one) => one.dataset.node)"))

    def wires(self) -> list[str]:
        return sorted(
            self.page.locator(".react-flow__edge").evaluate_all("found => found.map((one) => one.dataset.id)")
        )

    def expect_nodes(self, *names: str) -> None:
        _until(self.nodes, sorted(names))

    def expect_wires(self, *names: str) -> None:
        _until(self.wires, sorted(names))

    def port(self, node: str, port: str = "next") -> Locator:
        return self.node(node).locator(f".ob-port[data-port={port}]")

    def drag(self, start: Locator, end: Locator | tuple[float, float]) -> None:
        """From the middle of ``start`` to the middle of ``end`` or to a point, with the mouse held down."""
        self.settle()
        here = middle(start)
        there = end if isinstance(end, tuple) else middle(end)
        mouse = self.page.mouse
        mouse.move(*here)
        mouse.down()
        mouse.move(here[0] + 6, here[1] + 4)
        mouse.move(*there, steps=12)
        mouse.up()

    def add(self, words: str) -> None:
        """Choose a step from the palette that is open, with the keyboard."""
        expect(self.page.get_by_placeholder("Search steps")).to_be_focused()
        self.page.keyboard.type(words)
        self.page.keyboard.press("Enter")

    def leave_panel(self) -> None:
        """Close what stands at the right, keeping the selection."""
        panel = self.page.locator(".ob-panel")
        expect(panel).to_be_visible()
        while (shown := panel.get_attribute("data-panel") if panel.count() else None) is not None:
            panel.locator(".ob-panel-head .os-icon-button").last.click()
            expect(self.page.locator(f".ob-panel[data-panel={shown}]")).to_have_count(0)

    def open_step(self, name: str) -> None:
        self.node(name).click(position={"x": 60, "y": 30})
        expect(self.page.locator("[data-panel=node]")).to_be_visible()

    def field(self, name: str) -> Locator:
        return self.page.locator(f".ob-panel [data-field={name}]")

    def saved(self) -> int:
        """Wait until the server has everything; the draft's revision."""
        mark = self.page.locator(".ob-saved")
        expect(mark).to_have_attribute("data-standing", "saved")
        return int(mark.get_attribute("data-revision") or 0)

    def settle(self) -> None:
        """Wait until the canvas stands still: without motion, it does in the frame after the next."""
        self.page.evaluate(_TWO_FRAMES)

    def expect_problems(self, words: str) -> None:
        expect(self.page.locator(".ob-problems")).to_have_text(words)


_TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def _until(present: Callable[[], list[str]], wanted: list[str]) -> None:
    until = time.monotonic() + PATIENCE_MS / 1000
    while (found := present()) != wanted and time.monotonic() < until:
        time.sleep(0.1)
    assert found == wanted


def middle(found: Locator) -> tuple[float, float]:
    box = found.bounding_box()
    assert box, "it is not to be seen"
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
