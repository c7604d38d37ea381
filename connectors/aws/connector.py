"""The manifest of AWS. boto3 is imported when a client is first used, not here."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from connectors.aws.actions.choices import (
    ListImages,
    ListInstanceTypes,
    ListKeyPairs,
    ListSecurityGroups,
    ListSubnets,
)
from connectors.aws.actions.instance_power import StartInstance, StopInstance
from connectors.aws.actions.instance_run import RunInstance
from connectors.aws.actions.instance_terminate import TerminateInstance
from connectors.aws.actions.instances import ListInstances
from connectors.aws.client import AwsClient
from connectors.aws.config import AwsConfig
from connectors.aws.permissions import is_granted
from connectors.base import Connector, Environment, PermissionReport, Rate, Text
from connectors.errors import ConnectorError


class Aws(Connector):
    """Machines in Amazon Web Services."""

    id = "aws"
    title = Text("Amazon Web Services", "Amazon Web Services")
    icon = "cloud"
    # EC2 refills its bucket for changes by five a second; looks have twenty.
    rate = Rate(per_s=10, burst=50)
    Config = AwsConfig
    actions = (
        ListInstances,
        RunInstance,
        StartInstance,
        StopInstance,
        TerminateInstance,
        ListImages,
        ListInstanceTypes,
        ListSubnets,
        ListSecurityGroups,
        ListKeyPairs,
    )

    def open(self, client_id: UUID, config: BaseModel, environment: Environment) -> AwsClient:
        if not isinstance(config, AwsConfig):
            raise TypeError("the configuration is not one of AWS")
        return AwsClient(client_id, config, environment)

    async def test(self, client: Any) -> PermissionReport:
        """Sign in anew, then ask AWS for each permission by a dry run, which changes nothing."""
        account = await client.account(anew=True)
        wanted = sorted({name for action in self.actions for name in action.permissions})
        answers = await asyncio.gather(*(is_granted(client, name) for name in wanted))
        found = dict(zip(wanted, answers, strict=True))
        return PermissionReport(
            tenant=account,
            tenant_name=await _alias(client) or account,
            granted=tuple(name for name in wanted if found[name]),
            missing=tuple(name for name in wanted if not found[name]),
        )


async def _alias(client: AwsClient) -> str | None:
    """The account's alias, where it has one and we may read it."""
    try:
        answer = await client.read("list_account_aliases", service="iam")
    except ConnectorError:
        return None
    return next(iter(answer["AccountAliases"]), None)
