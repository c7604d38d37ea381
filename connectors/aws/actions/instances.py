"""List the machines (EC2 instances) of an account's region, and what all steps on one machine share."""

from __future__ import annotations

from typing import Literal

from connectors.aws import ec2
from connectors.aws.client import AwsClient
from connectors.base import Json, Output, Params, ReadAction, Text, choices, param

CATEGORY = "infrastructure"
# What a change of a machine speaks of beside what it is made with.
STANDING = {
    "state": Text("State", "État"),
    "image_id": Text("Image", "Image"),
    "instance_id": Text("Number", "Numéro"),
    "private_ip": Text("Private address", "Adresse privée"),
    "public_ip": Text("Public address", "Adresse publique"),
}


class InstanceOutput(Output):
    """One machine."""

    instance_id: str
    name: str
    state: str
    instance_type: str
    image_id: str
    private_ip: str | None = None
    public_ip: str | None = None


class InstanceRow(InstanceOutput):
    """One machine in a list; ``label`` and ``detail`` are for whoever chooses one."""

    label: str
    detail: str
    launched_at: str
    tags: dict[str, str]


class InstanceRows(Output):
    items: list[InstanceRow]


class InstanceFilter(Params):
    name_contains: str = param(
        "Name contains",
        "Le nom contient",
        default="",
        help_en="Upper or lower case does not matter. Leave it empty for all.",
        help_fr="Sans distinction de casse. Laisser vide pour toutes.",
    )
    state: Literal["any", "running", "stopped"] = param("State", "État", default="any")
    tags: dict[str, str] = param(
        "Tags",
        "Étiquettes",
        default_factory=dict,
        widget="key_values",
        help_en="Only machines that carry all of these.",
        help_fr="Seulement les machines qui les portent toutes.",
    )


class InstanceChoice(Params):
    """Parameters of a step on one machine that exists."""

    instance: str = param(
        "Machine",
        "Machine",
        live=choices("aws.instance.list", value="instance_id", label="label", detail="detail"),
        help_en="Its id, or its name where only one machine has it.",
        help_fr="Son identifiant, ou son nom si une seule machine le porte.",
        min_length=1,
        max_length=256,
    )


def output_of(instance: Json) -> Json:
    """The fields of :class:`InstanceOutput`."""
    return {
        **ec2.addresses_of(instance),
        "name": ec2.name_of(instance) or "",
        "state": ec2.state_of(instance),
        "instance_type": instance["InstanceType"],
        "image_id": instance["ImageId"],
    }


class ListInstances(ReadAction[AwsClient, InstanceFilter]):
    """Machines that are being ended, or that AWS still shows for an hour after their end, are left out."""

    id = "aws.instance.list"
    title = Text("List machines", "Lister les machines")
    summary = Text("The EC2 machines of the region.", "Les machines EC2 de la région.")
    category = CATEGORY
    icon = "server"
    permissions = ("ec2:DescribeInstances",)
    Params = InstanceFilter
    Output = InstanceRows

    async def read(self, client: AwsClient, params: InstanceFilter) -> InstanceRows:
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in sorted(params.tags.items())]
        rows = [_row(instance) for instance in await ec2.search(client, *filters)]
        states = {"running", "stopped"} if params.state == "any" else {params.state}
        part = params.name_contains.casefold()
        kept = [row for row in rows if row.state in states and part in row.name.casefold()]
        return InstanceRows(items=sorted(kept, key=lambda row: (row.label.casefold(), row.instance_id)))


def _row(instance: Json) -> InstanceRow:
    shown = output_of(instance)
    tags = ec2.tags_of(instance)
    tags.pop("Name", None)
    return InstanceRow(
        **shown,
        label=shown["name"] or shown["instance_id"],
        detail=f"{shown['state']} · {shown['instance_type']} · {shown['instance_id']}",
        launched_at=instance["LaunchTime"].isoformat(),
        tags=tags,
    )
