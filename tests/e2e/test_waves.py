"""A wave is undone from its page: asked first, in words that say what stays; then each client's undo, to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from playwright.sync_api import Locator, Page, expect

from connectors.m365.simulator.seed import demo_fixture
from tests.e2e.browser import chromium, in_a_browser, sign_in, visit
from tests.product import Product

pytestmark = in_a_browser(timeout_s=300)

MARK = f"wave{uuid4().hex[:8]}"
MSP = "northbridge"
HERE = ("--client", MSP, "--as", f"owner@{MSP}.example")
# Sessions that were ended cannot be given back: done in one client only.
SET_AND_END: dict[str, Any] = {
    "schema": "opsloom/workflow@1",
    "name": f"Mark {MARK}",
    "nodes": [
        {"id": "mark", "type": "flow.set_variable", "params": {"name": MARK, "value": True}},
        {"id": "here", "type": "flow.condition", "params": {"expression": "client.country == 'US'"}},
        {
            "id": "end",
            "type": "m365.user.revoke_sessions",
            "connection": "m365",
            "params": {"user": f"kim@{MARK}.example"},
        },
    ],
    "edges": [{"source": "mark", "target": "here"}, {"source": "here", "target": "end", "port": "true"}],
}


def tenant(product: Product) -> dict[str, str]:
    """A Microsoft 365 tenant of this test's own, as a connection's settings."""
    url = str(product.json("status")["parts"]["simulators"]["m365"]["url"]).replace("https:", "http:")
    user = {"userPrincipalName": f"kim@{MARK}.example", "displayName": "Kim", "usageLocation": "US"}
    own = {"slug": MARK, "domains": [{"name": f"{MARK}.example", "isDefault": True}], "users": [user], "groups": []}
    app = {"client_id": str(uuid4()), "client_secret": uuid4().hex}
    body = {"tenant": {**demo_fixture("contoso"), **own}, "apps": {MARK: app}}
    made = httpx.post(f"{url}/_sim/seed", json=body, trust_env=False).raise_for_status()
    return {**app, "tenant_id": made.json()["tenants"][0]["tenant_id"]}


def api_of(product: Product, slug: str) -> httpx.Client:
    """The API as the owner inside one client."""
    token = product.json("token", "create", "--account", f"owner@{MSP}.example", "--client", slug)["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=f"{product.url}/api/v1", headers=bearer, trust_env=False, timeout=60)


def make_clients(product: Product, countries: Mapping[str, str]) -> None:
    """Clients of the owner, who ask nobody's approval; and in the MSP's own what the workflow speaks of."""
    config = tenant(product)
    link = {"alias": "m365", "platform": "m365", "name": "Microsoft 365", "config": config}
    with api_of(product, MSP) as msp:
        msp.patch(f"/clients/{MSP}", json={"variables": {"country": "GB"}}).raise_for_status()
        for slug, country in countries.items():
            made = {"slug": slug, "name": slug.title(), "variables": {"country": country}}
            msp.post(f"/clients/{MSP}/clients", json=made).raise_for_status()
    for slug in (MSP, *countries):
        with api_of(product, slug) as api:
            if slug != MSP:
                api.put(f"/clients/{slug}/policy", json={"rules": []}).raise_for_status()
            if not any(one["alias"] == "m365" for one in api.get(f"/clients/{slug}/connections").json()):
                api.post(f"/clients/{slug}/connections", json=link).raise_for_status()


def done_wave(product: Product, over: list[str], tmp_path: Path) -> str:
    """The id of a wave over these clients that is over."""
    file = tmp_path / "wave.json"
    file.write_text(json.dumps(SET_AND_END))
    flow = product.json("workflow", "import", str(file), *HERE)["id"]
    to = [word for slug in over for word in ("--to", slug)]
    wave = product.json("wave", "start", flow, *to, "--percents", "", "--mode", "apply", *HERE)
    until = time.monotonic() + 60
    while (found := product.json("wave", "show", wave["id"], *HERE))["state"] not in ("succeeded", "failed"):
        assert time.monotonic() < until, found
        time.sleep(0.5)
    assert {target["state"] for target in found["targets"]} == {"succeeded"}, found
    return str(wave["id"])


def undone_in(page: Page, client: str) -> Locator:
    return page.locator("tbody tr", has_text=client).locator("[data-state=undone]")


def test_a_wave_is_undone_client_by_client(product: Product, tmp_path: Path) -> None:
    here, there = f"{MARK}-us", f"{MARK}-fr"
    make_clients(product, {here: "US", there: "FR"})
    wave = done_wave(product, [here, there], tmp_path)
    with chromium() as browser:
        owner = sign_in(browser, product, "owner")
        page = visit(owner, f"/c/{MSP}/waves/{wave}")
        page.get_by_role("button", name="Undo").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("taken back in reverse order")
        expect(dialog).to_contain_text("in 2 clients")
        expect(dialog).to_contain_text(f"{here.title()}: 1 change cannot be undone and stays.")
        dialog.get_by_role("button", name="Plan the undo first").click()
        expect(page.get_by_role("status")).to_contain_text("nothing is written")
        expect(page.get_by_role("status").get_by_role("link")).to_have_count(2)
        page.get_by_role("button", name="Undo").click()
        dialog.get_by_role("button", name="Undo 2 changes").click()
        expect(page.get_by_role("status")).to_contain_text("The undo has begun in 2 clients.")
        for client in (here, there):
            expect(undone_in(page, client.title())).to_be_visible()
        # There is nothing left that could be undone.
        expect(page.get_by_role("button", name="Undo")).to_have_count(0)
        undone_in(page, there.title()).click()
        page.wait_for_url(f"**/c/{there}/runs/*")
        expect(page.get_by_text("Undoes this run")).to_be_visible()
        assert owner.complaints == []
    told = product.json("wave", "show", wave, *HERE)["targets"]
    assert {target["undo_state"] for target in told} == {"succeeded"}
