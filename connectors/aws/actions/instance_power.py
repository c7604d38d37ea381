"""Start and stop a machine that exists."""

from __future__ import annotations

from typing import ClassVar

from connectors.aws import changes, ec2
from connectors.aws.actions.instances import CATEGORY, STANDING, InstanceChoice, InstanceOutput, output_of
from connectors.aws.client import AwsClient
from connectors.base import (
    Applied,
    Attempt,
    Change,
    Done,
    Json,
    Planned,
    Risk,
    Text,
    UndoPlan,
    World,
    WriteAction,
)
from connectors.errors import NotFound, Rejected

ADDRESS_IS_LOST = Text(
    "Its public address is given up; another is given at the next start.",
    "Son adresse publique est perdue ; une autre est attribuée au prochain démarrage.",
)


class _Power(WriteAction[AwsClient, InstanceChoice]):
    """What starting and stopping share. ``wanted`` is the state the step brings the machine to."""

    wanted: ClassVar[str]
    category = CATEGORY
    timeout_s = 600.0
    field_words = STANDING
    permissions = (
        "ec2:StartInstances",
        "ec2:StopInstances",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceAttribute",
    )
    Params = InstanceChoice
    Output = InstanceOutput

    async def plan(self, client: AwsClient, params: InstanceChoice, world: World) -> Planned:
        found = await ec2.find(client, params.instance)
        key = ec2.key_of(found, params.instance)
        target = ec2.target_of(client.region, key)
        present = world.over(target, ec2.fields_of(found) if found else None)
        if present is None or present["state"] == ec2.GONE:
            raise NotFound(f"There is no machine {params.instance} in {client.region}.", field="instance")
        output = {**(output_of(found) if found else ec2.planned_output(present)), "state": self.wanted}
        if present["state"] == self.wanted:
            return Planned(Change(kind="none", target=target, label=key), output)
        await self._check(client, found)
        change = Change(
            kind="update",
            target=target,
            label=key,
            before={"state": present["state"]},
            after={"state": self.wanted},
            note=self._note(found),
        )
        # Addresses change with the power: what is shown now is not what will be.
        return Planned(change, {name: output[name] for name in output if not name.endswith("_ip")})

    async def apply(self, client: AwsClient, params: InstanceChoice, change: Change, attempt: Attempt) -> Applied:
        return await self._bring(client, params.instance, self.wanted, change, attempt)

    async def recover(
        self, client: AwsClient, params: InstanceChoice, change: Change, attempt: Attempt
    ) -> Applied | None:
        """Bringing a machine to a state is harmless to repeat; once it is on its way, the end is waited for."""
        found = await super().recover(client, params, change, attempt)
        if found is None:
            return None
        settled = await ec2.wait_after_all(client, str(found.output["instance_id"]), self.wanted, attempt)
        return Applied(change, output_of(settled), adopted=True)

    async def plan_undo(self, client: AwsClient, done: Done, world: World | None = None) -> UndoPlan:
        instance = await ec2.by_id(client, str(done.output["instance_id"]))
        there = instance is not None and ec2.state_of(instance) != ec2.GONE
        present = (world or World()).over(done.change.target, ec2.fields_of(instance) if instance and there else None)
        if present is None:
            raise NotFound(f"{done.change.label} is gone; its former state cannot be given back.")
        return changes.back(done, present)

    async def undo(self, client: AwsClient, done: Done, change: Change, attempt: Attempt) -> Applied:
        wanted = (change.after or {})["state"]
        return await self._bring(client, str(done.output["instance_id"]), wanted, change, attempt)

    async def _bring(self, client: AwsClient, instance: str, wanted: str, change: Change, attempt: Attempt) -> Applied:
        found = await ec2.find(client, instance)
        if found is None:
            raise NotFound(f"There is no machine {instance} any more.", field="instance")
        after = await ec2.power(client, found, wanted, attempt)
        return Applied(change.model_copy(update={"after": {"state": ec2.state_of(after)}}), output_of(after))

    async def _check(self, client: AwsClient, instance: Json | None) -> None:
        """Raise where AWS would refuse."""

    def _note(self, instance: Json | None) -> Text | None:
        return None


class StartInstance(_Power):
    """A machine that runs already is left alone."""

    id = "aws.instance.start"
    title = Text("Start a machine", "Démarrer une machine")
    summary = Text("Starts an EC2 machine that is stopped.", "Démarre une machine EC2 arrêtée.")
    icon = "play"
    risk = Risk.LOW
    wanted = "running"


class StopInstance(_Power):
    """Its disks stay; what is in memory and on its instance store is lost, as when a computer is switched off."""

    id = "aws.instance.stop"
    title = Text("Stop a machine", "Arrêter une machine")
    summary = Text("Shuts an EC2 machine down; its disks stay.", "Arrête une machine EC2 ; ses disques sont conservés.")
    icon = "square"
    risk = Risk.MEDIUM
    wanted = "stopped"

    async def _check(self, client: AwsClient, instance: Json | None) -> None:
        if instance is None:
            return
        if instance.get("RootDeviceType") == "instance-store":
            raise Rejected("A machine whose system is on instance store cannot be stopped.", field="instance")
        if await ec2.is_protected(client, instance["InstanceId"], "disableApiStop"):
            raise Rejected("The machine is protected against being stopped.", code="protected", field="instance")

    def _note(self, instance: Json | None) -> Text | None:
        """An address that is not an elastic one goes with the power."""
        if instance is None or not instance.get("PublicIpAddress"):
            return None
        owners = [nic.get("Association", {}).get("IpOwnerId") for nic in instance.get("NetworkInterfaces", [])]
        return ADDRESS_IS_LOST if "amazon" in owners else None
