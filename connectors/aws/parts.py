"""What a machine is to be made of: raise where AWS would refuse it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from connectors.aws.client import AwsClient
from connectors.base import Json
from connectors.errors import NotFound, Rejected

ROWS = {"describe_subnets": "Subnets", "describe_security_groups": "SecurityGroups", "describe_key_pairs": "KeyPairs"}


class Parts(Protocol):
    """The parameters that name parts of a machine."""

    @property
    def instance_type(self) -> str: ...
    @property
    def subnet_id(self) -> str | None: ...
    @property
    def security_group_ids(self) -> list[str]: ...
    @property
    def key_name(self) -> str | None: ...


async def check(client: AwsClient, wanted: Parts, image: Json) -> None:
    """Raise where AWS would refuse what the machine is made of. All is looked up at once."""
    checks = [_check_type(client, wanted.instance_type, image)]
    if wanted.subnet_id:
        checks.append(_check_there(client, "subnet_id", "describe_subnets", "subnet-id", [wanted.subnet_id]))
    if wanted.security_group_ids:
        groups = sorted(set(wanted.security_group_ids))
        checks.append(_check_there(client, "security_group_ids", "describe_security_groups", "group-id", groups))
    if wanted.key_name:
        checks.append(_check_there(client, "key_name", "describe_key_pairs", "key-name", [wanted.key_name]))
    await asyncio.gather(*checks)


async def _check_there(client: AwsClient, field: str, operation: str, filter_name: str, wanted: list[str]) -> None:
    answer = await client.read(operation, Filters=[{"Name": filter_name, "Values": wanted}])
    if len(answer.get(ROWS[operation], [])) < len(wanted):
        raise NotFound(f"{', '.join(wanted)}: not all of this is there in {client.region}.", field=field)


async def _check_type(client: AwsClient, name: str, image: Json) -> None:
    """The size is sold here, and its processor runs the image."""
    filters = [{"Name": "instance-type", "Values": [name]}]
    found = (await client.read("describe_instance_types", Filters=filters)).get("InstanceTypes", [])
    if not found:
        raise Rejected(f"There is no size {name} in {client.region}.", field="instance_type")
    runs = found[0].get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    needs = image.get("Architecture")
    if needs and runs and needs not in runs:
        raise Rejected(f"{name} runs {'/'.join(runs)}, and the image is for {needs}.", field="instance_type")
