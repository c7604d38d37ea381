"""See that a machine of a given name is there and running; make it where it is not."""

from __future__ import annotations

import asyncio

from connectors.aws import changes, ec2, images, parts
from connectors.aws.actions.instances import CATEGORY, STANDING, InstanceOutput, output_of
from connectors.aws.client import AwsClient
from connectors.base import (
    Applied,
    Attempt,
    Change,
    Done,
    Json,
    Params,
    Planned,
    Risk,
    Text,
    UndoPlan,
    World,
    WriteAction,
    choices,
    param,
)
from connectors.errors import Conflict, NotFound, Rejected

CHOSEN_BY_AWS = ("instance_id", "private_ip", "public_ip")
# What a machine is made with. None of it is changed on one that exists: that would mean stopping or replacing it.
FIXED = ("image_id", "instance_type", "subnet_id", "security_group_ids", "key_name")


class RunParams(Params):
    name: str = param(
        "Name",
        "Nom",
        help_en="Its Name tag. A machine that has this name already is used as it is.",
        help_fr="Son étiquette Name. Une machine qui porte déjà ce nom est utilisée telle quelle.",
        min_length=1,
        max_length=255,
        placeholder="ws-anna-martin",
    )
    image: str = param(
        "Image",
        "Image",
        live=choices("aws.image.list", value="id", label="label", detail="detail"),
        help_en="An image's id, or a name: the newest that has it is taken (* stands for anything).",
        help_fr="L’identifiant d’une image, ou un nom : la plus récente qui le porte est prise (* remplace tout).",
        min_length=1,
        max_length=255,
    )
    instance_type: str = param(
        "Size",
        "Taille",
        default="t3.micro",
        live=choices("aws.instance_type.list", value="id", label="label", detail="detail"),
        pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$",
    )
    subnet_id: str | None = param(
        "Subnet",
        "Sous-réseau",
        default=None,
        live=choices("aws.subnet.list", value="id", label="label", detail="detail"),
        help_en="Leave it empty for the default network.",
        help_fr="Laisser vide pour le réseau par défaut.",
    )
    security_group_ids: list[str] = param(
        "Firewalls",
        "Pare-feu",
        default_factory=list,
        live=choices("aws.security_group.list", value="id", label="label", detail="detail", many=True),
        help_en="Leave it empty for the network's default.",
        help_fr="Laisser vide pour celui du réseau par défaut.",
    )
    key_name: str | None = param(
        "Key pair",
        "Paire de clés",
        default=None,
        live=choices("aws.key_pair.list", value="id", label="label", detail="detail"),
    )
    tags: dict[str, str] = param(
        "Tags",
        "Étiquettes",
        default_factory=dict,
        widget="key_values",
        help_en="Beside its name; they go on its disks too.",
        help_fr="En plus du nom ; elles vont aussi sur ses disques.",
    )


class RunInstance(WriteAction[AwsClient, RunParams]):
    """Creates a machine once: a machine of that name counts as it, and what lacks on it (tags, power) is added."""

    id = "aws.instance.run"
    title = Text("Create a machine", "Créer une machine")
    summary = Text(
        "Creates an EC2 machine of this name, or uses the one that is there.",
        "Crée une machine EC2 de ce nom, ou utilise celle qui existe.",
    )
    category = CATEGORY
    icon = "server-cog"
    risk = Risk.MEDIUM
    timeout_s = 600.0
    field_words = STANDING
    permissions = (
        "ec2:RunInstances",
        "ec2:CreateTags",
        "ec2:DeleteTags",
        "ec2:StartInstances",
        "ec2:StopInstances",
        "ec2:TerminateInstances",
        "ec2:DescribeInstances",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeKeyPairs",
    )
    Params = RunParams
    Output = InstanceOutput

    async def plan(self, client: AwsClient, params: RunParams, world: World) -> Planned:
        _refuse_reserved_tags(params.tags)
        target = ec2.target_of(client.region, params.name)
        found, image = await asyncio.gather(ec2.by_name(client, params.name), images.resolve(client, params.image))
        present = world.over(target, ec2.fields_of(found) if found else None)
        wanted = _wanted(params, image)
        if present is None:
            await parts.check(client, params, image)
            change = Change(kind="create", target=target, label=params.name, after=wanted, volatile=CHOSEN_BY_AWS)
            return Planned(change, _known(wanted))
        _refuse_another(params.name, present, wanted)
        change = changes.lacking(target, params.name, present, wanted)
        starts = "state" in (change.after or {})
        known = _known(wanted) if found is None or starts else output_of(found)
        return Planned(change, {**known, "state": "running"})

    async def apply(self, client: AwsClient, params: RunParams, change: Change, attempt: Attempt) -> Applied:
        if change.kind == "create":
            return await self._create(client, params, change, attempt)
        instance = await _the_one(client, params.name)
        await _bring_to(client, instance, change.after or {}, attempt)
        return await self._settled(client, instance["InstanceId"], change, attempt)

    async def recover(self, client: AwsClient, params: RunParams, change: Change, attempt: Attempt) -> Applied | None:
        """A machine that carries the attempt's key is ours. AWS's own client token refuses a second one besides."""
        if change.kind != "create":
            left = (await self.plan(client, params, World())).change
            if not changes.is_rest(left, change):
                raise changes.neither(change, left)
            if left.writes:
                return None  # setting tags and power again is harmless
            instance = await _the_one(client, params.name)
            return await self._settled(client, instance["InstanceId"], change, attempt, adopted=True)
        made = await ec2.by_attempt(client, attempt.key)
        if made is None:
            return None
        return await self._settled(client, made["InstanceId"], change, attempt, adopted=True)

    async def plan_undo(self, client: AwsClient, done: Done, world: World | None = None) -> UndoPlan:
        instance = await ec2.by_id(client, str(done.output["instance_id"]))
        there = instance is not None and ec2.state_of(instance) != ec2.GONE
        present = (world or World()).over(done.change.target, ec2.fields_of(instance) if instance and there else None)
        if done.change.kind == "create":
            if instance is None or present is None:
                return UndoPlan(changes.nothing(done))
            return changes.end(done, instance, present)
        if present is None:
            raise NotFound(f"{done.change.label} is gone; its former tags and state cannot be given back.")
        return changes.back(done, present)

    async def undo(self, client: AwsClient, done: Done, change: Change, attempt: Attempt) -> Applied:
        instance_id = str(done.output["instance_id"])
        if change.kind == "delete":
            await client.write("terminate_instances", attempt, InstanceIds=[instance_id])
            await ec2.wait_for(client, instance_id, ec2.GONE, attempt)
            return Applied(change)
        instance = await ec2.by_id(client, instance_id)
        assert instance is not None, "plan_undo found it"
        await _bring_to(client, instance, change.after or {}, attempt)
        return await self._settled(client, instance_id, change, attempt)

    async def recover_undo(self, client: AwsClient, done: Done, change: Change, attempt: Attempt) -> Applied | None:
        left = (await self.plan_undo(client, done)).change
        if not changes.is_rest(left, change):
            raise changes.neither(change, left)
        return None if left.writes else Applied(change, adopted=True)

    async def _create(self, client: AwsClient, params: RunParams, change: Change, attempt: Attempt) -> Applied:
        answer = await client.write("run_instances", attempt, **_request(params, change.after or {}, attempt))
        return await self._settled(client, answer["Instances"][0]["InstanceId"], change, attempt)

    async def _settled(
        self, client: AwsClient, instance_id: str, change: Change, attempt: Attempt, *, adopted: bool = False
    ) -> Applied:
        """The change as it is read back, once the machine is in the state asked for."""
        after = change.after or {}
        if state := after.get("state"):
            wait = ec2.wait_after_all if adopted else ec2.wait_for
            instance = await wait(client, instance_id, state, attempt)
        else:
            instance = await ec2.by_id(client, instance_id) or {}
        read = {**ec2.fields_of(instance), **ec2.addresses_of(instance)}
        shown = {name: read.get(name) for name in (*after, *change.volatile)}
        return Applied(change.model_copy(update={"after": shown}), output_of(instance), adopted)


def _refuse_reserved_tags(tags: dict[str, str]) -> None:
    for key in tags:
        if key == "Name" or key.startswith(("aws:", "opsloom:")):
            raise Rejected(f"The tag {key} is set by the step or by AWS itself.", field="tags")


def _wanted(params: RunParams, image: Json) -> Json:
    """The state asked for. What was left open is not in it."""
    wanted: Json = {
        "name": params.name,
        "image_id": image["ImageId"],
        "instance_type": params.instance_type,
        "state": "running",
        **ec2.tag_fields(params.tags),
    }
    if params.subnet_id:
        wanted["subnet_id"] = params.subnet_id
    if params.security_group_ids:
        wanted["security_group_ids"] = sorted(set(params.security_group_ids))
    if params.key_name:
        wanted["key_name"] = params.key_name
    return wanted


def _known(wanted: Json) -> Json:
    """The output as far as it is known before AWS has chosen."""
    return {name: wanted[name] for name in ("name", "state", "instance_type", "image_id")}


def _refuse_another(name: str, present: Json, wanted: Json) -> None:
    """A machine of that name made of something else is not the one asked for."""
    other = [field for field in FIXED if field in wanted and field in present and present[field] != wanted[field]]
    if other:
        differs = ", ".join(f"{field} {present[field]} ≠ {wanted[field]}" for field in other)
        message = f"There is another machine named {name}: {differs}."
        field = "image" if other[0] == "image_id" else other[0]
        raise Conflict(message, code="another_machine", field=field, details={"differs": other})


async def _the_one(client: AwsClient, name: str) -> Json:
    instance = await ec2.by_name(client, name)
    if instance is None:
        raise NotFound(f"There is no machine named {name} any more.", field="name")
    return instance


def _request(params: RunParams, after: Json, attempt: Attempt) -> Json:
    """What is sent to make the machine: the planned change, with the attempt's key on machine and disks."""
    tags = ec2.as_tags({**params.tags, "Name": after["name"], ec2.ATTEMPT_TAG: attempt.key})
    request: Json = {
        "ImageId": after["image_id"],
        "InstanceType": after["instance_type"],
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": attempt.key,
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
        "MetadataOptions": {"HttpTokens": "required"},
    }
    given = {"SubnetId": "subnet_id", "SecurityGroupIds": "security_group_ids", "KeyName": "key_name"}
    return request | {name: after[field] for name, field in given.items() if field in after}


async def _bring_to(client: AwsClient, instance: Json, after: Json, attempt: Attempt) -> None:
    """Set and remove the tags, then set the power, as ``after`` says."""
    instance_id, tags = instance["InstanceId"], ec2.tags_in(after)
    kept = {key: value for key, value in tags.items() if value is not None}
    removed = [{"Key": key} for key in sorted(tags) if tags[key] is None]
    if kept:
        await client.write("create_tags", attempt, Resources=[instance_id], Tags=ec2.as_tags(kept))
    if removed:
        await client.write("delete_tags", attempt, Resources=[instance_id], Tags=removed)
    if after.get("state"):
        await ec2.power(client, instance, after["state"], attempt)
