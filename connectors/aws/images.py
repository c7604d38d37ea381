"""Machine images: the client's own and those of well-known publishers."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from connectors.aws.client import AwsClient
from connectors.base import Json
from connectors.errors import NotFound, Rejected

IMAGE_ID = re.compile(r"^ami-[0-9a-f]{8,17}$")

# Publishers have tens of thousands of images; these names pick those that people start machines from. Canonical is
# named by its account, since only AWS's own images have an alias.
PUBLISHERS: dict[str, tuple[str, list[str]]] = {
    "own": ("self", ["*"]),
    "amazon": ("amazon", ["al2023-ami-2023.*", "Windows_Server-*-English-Full-Base-*"]),
    "canonical": ("099720109477", ["ubuntu/images/*-server-*"]),
}


async def usual(client: AwsClient, publisher: str = "any") -> list[Json]:
    """Available images of ``publisher``, or of all with the client's own first; newest first."""
    asked = list(PUBLISHERS) if publisher == "any" else [publisher]
    found = await asyncio.gather(*(_of(client, *PUBLISHERS[name]) for name in asked))
    return [image for images in found for image in sorted(images, key=_age, reverse=True)]


async def resolve(client: AwsClient, image: str) -> Json:
    """The image with that id, or the newest whose name is ``image`` (``*`` stands for anything).

    A client's own image goes before a publisher's. Raises ``NotFound`` where there is none and ``Rejected`` where it
    cannot be started.
    """
    found = await _by_id(client, image) if IMAGE_ID.match(image) else await _by_name(client, image)
    if found is None:
        raise NotFound(f"There is no image {image} in {client.region}.", field="image")
    if found.get("State") != "available":
        raise Rejected(f"Image {image} is {found.get('State')}, not available.", field="image")
    return found


async def _by_id(client: AwsClient, image_id: str) -> Json | None:
    rows = await _describe(client, Filters=[{"Name": "image-id", "Values": [image_id]}])
    return rows[0] if rows else None


async def _by_name(client: AwsClient, name: str) -> Json | None:
    for owner, _ in PUBLISHERS.values():
        rows = await _of(client, owner, [name])
        if rows:
            return max(rows, key=_age)
    return None


async def _of(client: AwsClient, owner: str, names: list[str]) -> list[Json]:
    by_name = {"Name": "name", "Values": names}
    return await _describe(client, Owners=[owner], Filters=[by_name, {"Name": "state", "Values": ["available"]}])


async def _describe(client: AwsClient, **params: Any) -> list[Json]:
    """Whole machine images only: kernels and ramdisks are described by the same call."""
    rows = await client.pages("describe_images", "Images", **params)
    return [row for row in rows if row.get("ImageType", "machine") == "machine" and row.get("Name")]


def _age(image: Json) -> tuple[str, str]:
    return str(image.get("CreationDate") or ""), str(image["Name"])
