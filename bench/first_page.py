"""first_page: how long until the sign-in page, and the first page inside a client, can be used in a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from app.embedded.state import free_port
from app.services.auth import present_code
from bench.limits import fsync_us

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_HOME = "/c/contoso"
# A field can be typed into once React holds it: before that, what is typed may be lost.
_FIELD_IS_LIVE = """() => {
  const field = document.querySelector("input[name=email]");
  return field && Object.keys(field).some((key) => key.startsWith("__reactProps"));
}"""
_HOME_IS_THERE = """() => {
  const title = document.querySelector(".os-header h1");
  return title?.textContent && document.querySelector("main") && !document.querySelector(".os-skeleton")
    && !document.querySelector("main[aria-busy=true]");
}"""
_BARE_IS_THERE = "() => document.body?.textContent.includes('alive')"


def missing() -> str | None:
    """Why it cannot be measured here, or None."""
    if not CHROMIUM.exists():
        return f"{CHROMIUM} is not installed"
    return None if find_spec("playwright") else "playwright is not installed (`make lint` installs it)"


def first_page(times: int) -> dict[str, Any]:
    """Milliseconds from the request until the page can be used, medians.

    Each visit is a fresh browser profile, so nothing is cached. The limit is the same browser's time for an answer of
    one line by the same server.
    """
    with _product() as (home, url), _browser() as browser:
        signed_in = _sign_in(browser, url, home)
        bare, first, inside, again = [], [], [], []
        for _ in range(times):
            bare.append(_visit(browser.new_context(), f"{url}/healthz", _BARE_IS_THERE))
            first.append(_visit(browser.new_context(), f"{url}/sign-in", _FIELD_IS_LIVE))
            context = browser.new_context(storage_state=signed_in)
            inside.append(_visit(context, url + _HOME, _HOME_IS_THERE))
            again.append(_visit(context, url + _HOME, _HOME_IS_THERE))
        disk = fsync_us(home)
    return {
        "workload": "first_page",
        "unit": "ms",
        "ours": round(median(first)),
        "limit": round(median(bare)),
        "peers": {},
        "runs": times,
        "fsync_us": round(disk, 1),
        "note": f"sign-in page, empty cache; the home page inside a client with its data: {median(inside):.0f} ms with "
        f"an empty cache, {median(again):.0f} ms the second time",
    }


def _visit(context: Any, address: str, ready: str) -> float:
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(ready, polling="raf", timeout=60_000)
    found = (time.perf_counter() - began) * 1000
    page.close()
    return found


def _sign_in(browser: Any, url: str, home: Path) -> Any:
    """What a browser keeps of somebody who is signed in."""
    account = next(one for one in json.loads((home / "demo-accounts.json").read_text()) if one["role"] == "viewer")
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/sign-in")
    page.wait_for_function(_FIELD_IS_LIVE)
    code = present_code(account["totp_secret"], at=time.time())
    for name, value in (("email", account["email"]), ("password", account["password"]), ("otp", code)):
        page.locator(f"input[name={name}]").fill(value)
    page.locator("button[type=submit]").click()
    page.wait_for_function(_HOME_IS_THERE, timeout=60_000)
    return context.storage_state()


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # of the tests' packages: only this workload needs it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS)
        yield browser
        browser.close()


@contextmanager
def _product() -> Iterator[tuple[Path, str]]:
    """Home and address of a whole product with its demonstration, as `make up` starts it."""
    home = Path(tempfile.mkdtemp(prefix="opsloom-bench-"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPSLOOM_")}
    environment = {**kept, "OPSLOOM_HOME": str(home), "OPSLOOM_PORT": str(free_port())}

    def opsloom(verb: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "app.cli", verb, "--json"]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    try:
        yield home, opsloom("up")["url"]
    finally:
        opsloom("down")
        shutil.rmtree(home, ignore_errors=True)
