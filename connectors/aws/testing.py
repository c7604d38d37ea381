"""AWS for the contract suite: a simulator with one account to change, one that may only look, and the MSP's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from connectors.aws.config import AwsConfig
from connectors.aws.connector import Aws
from connectors.base import Environment, Json
from connectors.testing import Sample, Sandbox, SimulatorControl

MSP_KEY = {"access_key_id": "AKIAMSPMSPMSPMSPMSP2", "secret_access_key": "msp-secret-for-the-simulator-only"}
READER_KEY = {"access_key_id": "AKIAREADERREADERREA2", "secret_access_key": "reader-secret-for-the-simulator"}

SANDBOX: Json = {
    "slug": "sandbox",
    "account_id": "777788889999",
    "display_name": "sandbox",
    "region": "eu-west-3",
    "images": [
        {"name": "workstation-1", "description": "Older", "created": "2026-01-01T00:00:00+00:00"},
        {"name": "workstation-2", "description": "Newer", "created": "2026-02-01T00:00:00+00:00"},
        {"name": "graviton-1", "description": "Arm", "created": "2026-02-01T00:00:00+00:00", "architecture": "arm64"},
    ],
    "key_pairs": ["engineers"],
    "security_groups": [{"name": "engineers", "description": "Engineers' machines"}],
    "instances": [
        {"name": "awake", "image": "workstation-1", "instance_type": "t3.micro", "tags": {"Team": "R&D"}},
        {"name": "asleep", "image": "workstation-1", "instance_type": "t3.micro", "state": "stopped"},
        {"name": "guarded", "image": "workstation-1", "instance_type": "t3.micro", "protected": True},
        {"name": "twin", "image": "workstation-1", "instance_type": "t3.micro"},
        {"name": "twin", "image": "workstation-1", "instance_type": "t3.micro"},
    ],
}
ROLE: Json = {"name": "Opsloom", "external_id": "sandbox-1", "trusts": "msp"}
READER: Json = {
    "slug": "reader",
    "account_id": "888899990000",
    "display_name": "reader",
    "region": "eu-west-3",
    "user": {"name": "reader", "actions": ["ec2:DescribeInstances", "ec2:DescribeImages", "sts:GetCallerIdentity"]},
}

SAMPLES = {
    "aws.instance.list": Sample({}),
    "aws.instance.run": Sample(
        {
            "name": "ws-élodie",
            "image": "workstation-*",
            "instance_type": "t3.small",
            "tags": {"Owner": "Élodie O'Neil"},
        },
        missing={"name": "ws-1", "image": "nothing-like-it"},
        rejected={"name": "ws-1", "image": "graviton-1", "instance_type": "t3.small"},
    ),
    "aws.instance.start": Sample({"instance": "asleep"}, missing={"instance": "nobody"}, rejected={"instance": "twin"}),
    "aws.instance.stop": Sample({"instance": "awake"}, missing={"instance": "nobody"}, rejected={"instance": "twin"}),
    "aws.instance.terminate": Sample(
        {"instance": "awake"}, missing={"instance": "i-0123456789abcdef0"}, rejected={"instance": "guarded"}
    ),
    "aws.image.list": Sample({}),
    "aws.instance_type.list": Sample({}),
    "aws.subnet.list": Sample({}),
    "aws.security_group.list": Sample({}),
    "aws.key_pair.list": Sample({}),
}


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A simulator of its own process, for as long as the block lasts."""
    from connectors.aws.simulator.fixtures import EVERYTHING, MSP
    from connectors.aws.simulator.starter import running

    account = {**SANDBOX, "role": {**ROLE, "actions": list(EVERYTHING)}}
    seed = {"tenants": [MSP, account, READER], "keys": {"msp": MSP_KEY, "reader": READER_KEY}}
    with running() as url:
        control = SimulatorControl(url)
        found = {one["slug"]: one["config"] for one in control.seed(seed)}
        config = AwsConfig(**found["sandbox"])
        yield Sandbox(
            connector=Aws(),
            environment=Environment(endpoints={"endpoint": url}),
            control=control,
            config=config,
            wrong_config=config.model_copy(update={"secret_access_key": SecretStr("not-the-secret-of-anybody")}),
            poor_config=AwsConfig(**found["reader"]),
            samples=SAMPLES,
            seed=seed,
        )
