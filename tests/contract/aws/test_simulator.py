"""The simulator keeps its promises: state over a restart, IAM, refusals of what it does not know."""

from __future__ import annotations

import stat
from pathlib import Path

import httpx
import pytest

from connectors.aws.config import AwsConfig
from connectors.aws.connector import Aws
from connectors.aws.simulator.starter import running
from connectors.base import Environment
from connectors.testing import Bench, Sandbox, SimulatorControl

RUN = {"name": "kept", "image": "contoso-server-*", "instance_type": "t3.micro", "tags": {"Owner": "Zoë"}}


def bench_on(url: str, config: dict[str, str]) -> Bench:
    control, environment = SimulatorControl(url), Environment({"endpoint": url})
    found = AwsConfig(**config)
    sandbox = Sandbox(Aws(), environment, control, found, found, samples={}, seed={})
    return Bench(sandbox, sandbox.open())


async def test_machines_and_keys_outlive_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "aws.jsonl"
    with running(state) as url:
        made = {one["slug"]: one for one in SimulatorControl(url).seed({"demo": True})}
        assert all(one["created"] for one in made.values())
        bench = bench_on(url, made["contoso"]["config"])
        await bench.do("aws.instance.run", RUN)
        await bench.do("aws.instance.stop", {"instance": "build-01"})
        await bench.client.aclose()
        before = bench.sandbox.control.dump()
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    with running(state) as url:
        control = SimulatorControl(url)
        assert control.dump() == before
        again = {one["slug"]: one for one in control.seed({"demo": True})}
        assert not any(one["created"] for one in again.values())
        assert again["contoso"]["config"] == made["contoso"]["config"]
        bench = bench_on(url, again["contoso"]["config"])
        assert (await bench.plan("aws.instance.run", RUN)).change.kind == "none"
        await bench.client.aclose()
        assert control.dump() == before


async def test_demo_accounts_have_something_to_choose(sandbox: Sandbox) -> None:
    control = sandbox.control
    made = {one["slug"]: one["config"] for one in control.seed({"demo": True})}
    for slug, image in (("contoso", "contoso-engineering-2026.10"), ("fabrikam", "fabrikam-poste-2026.11")):
        bench = bench_on(control.url, made[slug])
        assert (await bench.sandbox.connector.test(bench.client)).missing == ()
        assert (await bench.read("aws.image.list")).items[0].label == image
        assert (await bench.read("aws.key_pair.list")).items
        await bench.client.aclose()


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "flood"},
        {"kind": "drop", "when": "never"},
        {"kind": "drop", "colour": "red"},
        {"kind": "drop", "path": "("},
        {"kind": "drop", "times": 0},
    ],
)
def test_a_fault_that_is_not_understood_is_refused(sandbox: Sandbox, body: dict[str, object]) -> None:
    answer = httpx.post(f"{sandbox.control.url}/_sim/faults", json=body, trust_env=False)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_unknown_control_routes_and_tenants_are_404(sandbox: Sandbox) -> None:
    for route in ("/_sim/else", "/_sim/dump?tenant=nobody"):
        assert httpx.get(sandbox.control.url + route, trust_env=False).status_code == 404


async def test_services_it_does_not_simulate_are_refused(sandbox: Sandbox) -> None:
    client = sandbox.open()
    with pytest.raises(Exception, match="not simulated"):
        await client.read("list_tables", service="dynamodb")
    await client.aclose()


async def test_faults_are_counted_and_narrowed(sandbox: Sandbox) -> None:
    client, control = sandbox.open(), sandbox.control
    control.fault("error", path="DescribeSubnets", status=400, code="InvalidParameterValue", times=2)
    await client.read("describe_instances")
    for _ in range(2):
        with pytest.raises(Exception, match="told to fail"):
            await client.read("describe_subnets")
    await client.read("describe_subnets")
    (fault,) = control.faults()
    assert (fault["met"], fault["done"]) == (2, 2)
    assert [record["faults"] for record in control.log() if record["path"].endswith("Subnets")] == [
        ["error"],
        ["error"],
        [],
    ]
    await client.aclose()
