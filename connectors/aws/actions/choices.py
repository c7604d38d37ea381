"""What a machine is made of: images, sizes, subnets, firewalls, key pairs. Forms offer them as choices."""

from __future__ import annotations

from typing import Literal

from connectors.aws import ec2, images
from connectors.aws.actions.instances import CATEGORY
from connectors.aws.client import AwsClient
from connectors.base import Json, Output, Params, ReadAction, Text, param

# A family of each kind that is sold in every region; the whole list has more than a thousand sizes.
USUAL_FAMILIES = ("t3", "t3a", "t4g", "m6i", "m7i", "m7g", "c6i", "c7i", "r6i", "r7i")


class ChoiceRow(Output):
    """One thing that can be chosen."""

    id: str
    label: str
    detail: str


class ChoiceRows(Output):
    items: list[ChoiceRow]


class NoParams(Params):
    """For lists without a filter."""


class ImageFilter(Params):
    publisher: Literal["any", "own", "amazon", "canonical"] = param(
        "Publisher",
        "Éditeur",
        default="any",
        help_en="Own images, Amazon's Linux and Windows, Canonical's Ubuntu.",
        help_fr="Images du client, Linux et Windows d’Amazon, Ubuntu de Canonical.",
    )
    name_contains: str = param("Name contains", "Le nom contient", default="")


class ListImages(ReadAction[AwsClient, ImageFilter]):
    """The client's own images first, then the publishers' current ones, newest first."""

    id = "aws.image.list"
    title = Text("List machine images", "Lister les images de machine")
    summary = Text("Images (AMI) a machine can start from.", "Images (AMI) à partir desquelles une machine démarre.")
    category = CATEGORY
    icon = "disc"
    permissions = ("ec2:DescribeImages",)
    Params = ImageFilter
    Output = ChoiceRows

    async def read(self, client: AwsClient, params: ImageFilter) -> ChoiceRows:
        part = params.name_contains.casefold()
        found = [image for image in await images.usual(client, params.publisher) if part in image["Name"].casefold()]
        return ChoiceRows(items=[_image_row(image) for image in found])


def _image_row(image: Json) -> ChoiceRow:
    words = [image.get("Description") or "", image.get("Architecture") or "", image["ImageId"]]
    return ChoiceRow(id=image["ImageId"], label=image["Name"], detail=" · ".join(word for word in words if word))


class TypeFilter(Params):
    families: list[str] = param(
        "Families",
        "Familles",
        default_factory=lambda: list(USUAL_FAMILIES),
        help_en="The part of a size's name before the dot. Leave it empty for every size there is.",
        help_fr="La partie du nom avant le point. Laisser vide pour toutes les tailles.",
    )


class ListInstanceTypes(ReadAction[AwsClient, TypeFilter]):
    """Sizes of the current generation, smallest first."""

    id = "aws.instance_type.list"
    title = Text("List machine sizes", "Lister les tailles de machine")
    summary = Text("Sizes (instance types) sold in the region.", "Tailles (types d’instance) vendues dans la région.")
    category = CATEGORY
    icon = "cpu"
    permissions = ("ec2:DescribeInstanceTypes",)
    Params = TypeFilter
    Output = ChoiceRows

    async def read(self, client: AwsClient, params: TypeFilter) -> ChoiceRows:
        filters = [{"Name": "current-generation", "Values": ["true"]}]
        if params.families:
            filters.append({"Name": "instance-type", "Values": [f"{family}.*" for family in params.families]})
        found = await client.pages("describe_instance_types", "InstanceTypes", Filters=filters)
        found.sort(key=lambda one: (_vcpus(one), _memory(one), one["InstanceType"]))
        return ChoiceRows(items=[_type_row(one) for one in found])


def _vcpus(one: Json) -> int:
    return int(one["VCpuInfo"]["DefaultVCpus"])


def _memory(one: Json) -> int:
    return int(one["MemoryInfo"]["SizeInMiB"])


def _type_row(one: Json) -> ChoiceRow:
    processors = "/".join(one.get("ProcessorInfo", {}).get("SupportedArchitectures", []))
    detail = f"{_vcpus(one)} vCPU · {_memory(one) / 1024:g} GiB · {processors}"
    return ChoiceRow(id=one["InstanceType"], label=one["InstanceType"], detail=detail)


class ListSubnets(ReadAction[AwsClient, NoParams]):
    """Subnets by network and zone."""

    id = "aws.subnet.list"
    title = Text("List subnets", "Lister les sous-réseaux")
    summary = Text("Subnets of the region's networks.", "Sous-réseaux des réseaux de la région.")
    category = CATEGORY
    icon = "network"
    permissions = ("ec2:DescribeSubnets",)
    Params = NoParams
    Output = ChoiceRows

    async def read(self, client: AwsClient, params: NoParams) -> ChoiceRows:
        found = await client.pages("describe_subnets", "Subnets")
        rows = [_subnet_row(one) for one in found]
        return ChoiceRows(items=sorted(rows, key=lambda row: (row.detail, row.id)))


def _subnet_row(one: Json) -> ChoiceRow:
    free = f"{one['AvailableIpAddressCount']} IP"
    detail = f"{one['VpcId']} · {one['AvailabilityZone']} · {one['CidrBlock']} · {free}"
    return ChoiceRow(id=one["SubnetId"], label=ec2.name_of(one) or one["SubnetId"], detail=detail)


class ListSecurityGroups(ReadAction[AwsClient, NoParams]):
    """Firewalls by name."""

    id = "aws.security_group.list"
    title = Text("List firewalls", "Lister les pare-feu")
    summary = Text("Security groups of the region.", "Groupes de sécurité de la région.")
    category = CATEGORY
    icon = "shield"
    permissions = ("ec2:DescribeSecurityGroups",)
    Params = NoParams
    Output = ChoiceRows

    async def read(self, client: AwsClient, params: NoParams) -> ChoiceRows:
        found = await client.pages("describe_security_groups", "SecurityGroups")
        rows = [
            ChoiceRow(id=one["GroupId"], label=one["GroupName"], detail=f"{one['Description']} · {one['GroupId']}")
            for one in found
        ]
        return ChoiceRows(items=sorted(rows, key=lambda row: (row.label.casefold(), row.id)))


class ListKeyPairs(ReadAction[AwsClient, NoParams]):
    """Key pairs by name; AWS keeps their public halves only."""

    id = "aws.key_pair.list"
    title = Text("List key pairs", "Lister les paires de clés")
    summary = Text("Key pairs for signing in to a machine.", "Paires de clés pour se connecter à une machine.")
    category = CATEGORY
    icon = "key-round"
    permissions = ("ec2:DescribeKeyPairs",)
    Params = NoParams
    Output = ChoiceRows

    async def read(self, client: AwsClient, params: NoParams) -> ChoiceRows:
        found = (await client.read("describe_key_pairs")).get("KeyPairs", [])
        rows = [ChoiceRow(id=one["KeyName"], label=one["KeyName"], detail=one.get("KeyType") or "rsa") for one in found]
        return ChoiceRows(items=sorted(rows, key=lambda row: row.label.casefold()))
