"""builder_drop: a step dragged out of the palette onto a drawing of 400, from the drop to the word of the server."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from bench.limits import fsync_us
from bench.product import Product, running_product

STEPS = 400
DROPS = 12
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CLIENT = "contoso"

# From the drop until the mark in the header says "saved" for a later revision. Taken in the page, by its own clock.
_WATCH = """() => {
  const mark = document.querySelector(".ob-saved");
  let dropped = null;
  let before = null;
  window.took = [];
  window.addEventListener("drop", () => { [dropped, before] = [performance.now(), mark.dataset.revision]; }, true);
  new MutationObserver(() => {
    if (dropped === null || mark.dataset.standing !== "saved" || mark.dataset.revision === before) return;
    window.took.push(performance.now() - dropped);
    dropped = null;
  }).observe(mark, { attributes: true });
}"""


def document(steps: int) -> dict[str, Any]:
    """A chain, drawn in rows of twenty."""
    nodes = [
        {"id": f"n{i}", "type": "flow.noop", "position": {"x": i % 20 * 320, "y": i // 20 * 128}} for i in range(steps)
    ]
    edges = [{"source": f"n{i}", "target": f"n{i + 1}"} for i in range(steps - 1)]
    return {"schema": "opsloom/workflow@1", "name": f"Drawing of {steps}", "nodes": nodes, "edges": edges}


def builder_drop(times: int) -> dict[str, Any]:
    """Milliseconds. ``limit`` is the same on a drawing of one step, in the same run: what the size adds is the rest."""
    found: dict[str, Any] = {"workload": "builder_drop", "unit": "ms", "ours": None, "limit": None, "peers": {}}
    with running_product() as product:
        ours, limits = asyncio.run(_measured(product, times))
        probe = fsync_us(product.home)
    every = sorted(one for run in ours for one in run)
    return {
        **found,
        "ours": round(median(map(median, ours)), 1),
        "limit": round(median(map(median, limits)), 1),
        "runs": times,
        "fsync_us": round(probe, 1),
        "note": f"{len(every)} drops, 9 of 10 within {every[int(len(every) * 0.9)]:.0f} ms; limit: one step",
    }


async def _measured(product: Product, times: int) -> tuple[list[list[float]], list[list[float]]]:
    from playwright.async_api import async_playwright

    large, small = (_imported(product, steps) for steps in (STEPS, 1))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = await browser.new_page(viewport={"width": 1400, "height": 900}, locale="en-GB")
        await _sign_in(page, product)
        ours, limits = [], []
        for _ in range(times):
            limits.append(await _drops(page, product, small, 1))
            ours.append(await _drops(page, product, large, STEPS))
        await browser.close()
    return ours, limits


def _imported(product: Product, steps: int) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document(steps), file)
        file.flush()
        return str(product.json("workflow", "import", file.name, "--client", CLIENT)["id"])


async def _sign_in(page: Any, product: Product) -> None:
    account = product.account("engineer")
    await page.goto(f"{product.url}/sign-in")
    await page.locator("input[name=email]").fill(account["email"])
    await page.locator("input[name=password]").fill(account["password"])
    await page.locator("input[name=otp]").fill(str(product.json("otp", account["email"])["code"]))
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("navigation").first.wait_for()


async def _drops(page: Any, product: Product, workflow: str, steps: int) -> list[float]:
    """Drop a step and take it back, again and again; the first is not counted, as it loads what the others find."""
    await page.goto(f"{product.url}/c/{CLIENT}/workflows/{workflow}")
    await page.locator(".ob-root[data-phase=ready]").wait_for()
    await page.locator("[data-add]").click()
    await page.evaluate(_WATCH)
    for turn in range(DROPS + 1):
        await page.locator("[data-step='flow.noop']").drag_to(
            page.locator(".ob-canvas"), target_position={"x": 300, "y": 700}
        )
        await page.wait_for_function("count => window.took.length === count", arg=turn + 1)
        await page.locator(".ob-root").focus()
        await page.keyboard.press("Control+z")
        await page.locator(".ob-saved[data-standing=saved]").wait_for()
        await page.locator("[data-panel=steps]").wait_for()
    found: list[float] = (await page.evaluate("() => window.took"))[1:]
    return found
