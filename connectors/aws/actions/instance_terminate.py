"""Delete (AWS says: terminate) a machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from connectors.aws import ec2
from connectors.aws.actions.instance_run import RunParams
from connectors.aws.actions.instances import CATEGORY, STANDING, InstanceChoice, InstanceOutput, output_of
from connectors.aws.client import AwsClient
from connectors.base import Applied, Attempt, Change, Json, Planned, Risk, Text, World, WriteAction, words_of
from connectors.errors import NotFound, Rejected

DISKS_STAY = Text(
    "Disks that are set to outlive it stay and go on costing.",
    "Les disques prévus pour lui survivre restent et continuent de coûter.",
)


class TerminateInstance(WriteAction[AwsClient, InstanceChoice]):
    """AWS shows an ended machine for an hour and then forgets it."""

    id = "aws.instance.terminate"
    title = Text("Delete a machine", "Supprimer une machine")
    summary = Text("Deletes an EC2 machine and its disks.", "Supprime une machine EC2 et ses disques.")
    category = CATEGORY
    icon = "trash-2"
    risk = Risk.HIGH
    reversible = False
    irreversible_reason = Text(
        "A deleted machine and the disks deleted with it cannot be brought back.",
        "Une machine supprimée et les disques effacés avec elle ne peuvent pas être rétablis.",
    )
    timeout_s = 600.0
    field_words: ClassVar[Mapping[str, Text]] = words_of(RunParams) | STANDING
    permissions = ("ec2:TerminateInstances", "ec2:DescribeInstances", "ec2:DescribeInstanceAttribute")
    Params = InstanceChoice
    Output = InstanceOutput

    async def plan(self, client: AwsClient, params: InstanceChoice, world: World) -> Planned:
        found = await ec2.find(client, params.instance, also_gone=True)
        key = ec2.key_of(found, params.instance)
        target = ec2.target_of(client.region, key)
        known = world.over(target, ec2.fields_of(found) if found else None)
        if found is None and known is None and not world.planned(target):
            raise NotFound(f"There is no machine {params.instance} in {client.region}.", field="instance")
        output = output_of(found) if found else ec2.planned_output(known or {})
        output = {**output, "state": ec2.GONE}
        if known is None or known["state"] == ec2.GONE:
            return Planned(Change(kind="none", target=target, label=key), output)
        if found and await ec2.is_protected(client, found["InstanceId"], "disableApiTermination"):
            raise Rejected("The machine is protected against being deleted.", code="protected", field="instance")
        change = Change(
            kind="delete",
            target=target,
            label=key,
            before=known,
            reversible=False,
            irreversible_reason=self.irreversible_reason,
            note=_note(found),
        )
        return Planned(change, {name: output[name] for name in output if not name.endswith("_ip")})

    async def apply(self, client: AwsClient, params: InstanceChoice, change: Change, attempt: Attempt) -> Applied:
        found = await ec2.find(client, params.instance)
        if found is None:
            raise NotFound(f"There is no machine {params.instance} any more.", field="instance")
        await client.write("terminate_instances", attempt, InstanceIds=[found["InstanceId"]])
        gone = await ec2.wait_until(client, found["InstanceId"], ec2.GONE, attempt.deadline)
        return Applied(change, output_of(gone))

    async def recover(
        self, client: AwsClient, params: InstanceChoice, change: Change, attempt: Attempt
    ) -> Applied | None:
        """The machine was there when the attempt began, so that it is nowhere now means that it was ended."""
        try:
            return await super().recover(client, params, change, attempt)
        except NotFound:
            return Applied(change, {**ec2.planned_output(change.before or {}), "state": ec2.GONE}, adopted=True)


def _note(instance: Json | None) -> Text | None:
    disks = [mapping.get("Ebs", {}) for mapping in (instance or {}).get("BlockDeviceMappings", [])]
    return DISKS_STAY if any(disk.get("DeleteOnTermination") is False for disk in disks) else None
