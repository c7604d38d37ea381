"""EC2 instances as the actions speak of them: finding one, its settled state, waiting for it."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta

from connectors.aws.client import AwsClient
from connectors.base import Attempt, Json
from connectors.errors import Conflict, NotFound, OutcomeUnknown, Rejected

INSTANCE_ID = re.compile(r"^i-[0-9a-f]{8,17}$")
ATTEMPT_TAG = "opsloom:attempt"
TAG = "tag:"
GONE = "terminated"

# A state that is on its way counts as the one it leads to, so that a plan does not depend on the second it is made.
SETTLED = {"pending": "running", "stopping": "stopped", "shutting-down": GONE}

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 5.0
# AWS may not show an instance for some seconds after it has made it.
BECOMES_VISIBLE_WITHIN = timedelta(seconds=30)
# The answer about the state must be written down before the attempt's deadline.
MARGIN = timedelta(seconds=1)
# An attempt whose answer was lost is looked for when its deadline may be over; what it began is given this long.
PATIENCE = timedelta(seconds=120)


def tags_of(row: Json) -> dict[str, str]:
    """A row's tags without AWS's own and ours."""
    return {tag["Key"]: tag["Value"] for tag in row.get("Tags", []) if not tag["Key"].startswith(("aws:", "opsloom:"))}


def name_of(row: Json) -> str | None:
    return tags_of(row).get("Name") or None


def attempt_of(instance: Json) -> str | None:
    """The attempt that made the instance, where we made it."""
    return next((tag["Value"] for tag in instance.get("Tags", []) if tag["Key"] == ATTEMPT_TAG), None)


def as_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as AWS takes them, sorted so that a request is the same each time."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def state_of(instance: Json) -> str:
    """The state that the instance is in or on its way to."""
    state = str(instance["State"]["Name"])
    return SETTLED.get(state, state)


def fields_of(instance: Json) -> Json:
    """What changes speak of. Each tag is a field of its own, so that a change can name the ones it touches."""
    tags = tags_of(instance)
    return {
        "name": tags.pop("Name", None),
        "image_id": instance.get("ImageId"),
        "instance_type": instance.get("InstanceType"),
        "subnet_id": instance.get("SubnetId"),
        "security_group_ids": sorted(group["GroupId"] for group in instance.get("SecurityGroups", [])),
        "key_name": instance.get("KeyName"),
        "state": state_of(instance),
        **tag_fields(tags),
    }


def tag_fields(tags: dict[str, str]) -> Json:
    """Tags as fields of a change, named as AWS's filters name them."""
    return {f"{TAG}{key}": value for key, value in sorted(tags.items())}


def tags_in(fields: Json) -> dict[str, str | None]:
    """The tags among a change's fields; None stands for one that is not there."""
    return {name.removeprefix(TAG): value for name, value in fields.items() if name.startswith(TAG)}


def addresses_of(instance: Json) -> Json:
    """What AWS chooses: id and addresses."""
    return {
        "instance_id": instance["InstanceId"],
        "private_ip": instance.get("PrivateIpAddress"),
        "public_ip": instance.get("PublicIpAddress"),
    }


def target_of(region: str, instance: str) -> str:
    """Target of an instance by its name, or by its id where it has none: the same before and after it exists."""
    return f"aws.instance:{region}/{instance}".lower()


async def search(client: AwsClient, *filters: Json) -> list[Json]:
    """The instances that match all ``filters``, also those that are gone but still shown."""
    rows = await client.pages("describe_instances", "Reservations", Filters=list(filters))
    return [instance for row in rows for instance in row["Instances"]]


async def by_id(client: AwsClient, instance_id: str) -> Json | None:
    """The instance, or None. A filter is asked, since asking for an unknown id is an error that hides others."""
    found = await search(client, {"Name": "instance-id", "Values": [instance_id]})
    return found[0] if found else None


async def by_name(client: AwsClient, name: str, *, also_gone: bool = False) -> Json | None:
    """The one instance of that name which is not terminated, or with ``also_gone`` one that is but is still shown.

    Raises ``Conflict`` where several that are not terminated have the name.
    """
    escaped = re.sub(r"([\\*?])", r"\\\1", name)  # a filter takes * and ? as wildcards
    found = await search(client, {"Name": "tag:Name", "Values": [escaped]})
    named = [instance for instance in found if name_of(instance) == name]
    alive = [instance for instance in named if state_of(instance) != GONE]
    if len(alive) > 1:
        ids = sorted(instance["InstanceId"] for instance in alive)
        message = f"{len(alive)} instances are named {name}: {', '.join(ids)}. Name the one you mean by its id."
        raise Conflict(message, code="ambiguous", field="instance", details={"instances": ids})
    return next(iter(alive or (named if also_gone else [])), None)


async def find(client: AwsClient, instance: str, *, also_gone: bool = False) -> Json | None:
    """The instance with that id (also when it is gone but still shown), or else of that name."""
    if INSTANCE_ID.match(instance):
        return await by_id(client, instance)
    return await by_name(client, instance, also_gone=also_gone)


async def by_attempt(client: AwsClient, key: str) -> Json | None:
    """The instance that the attempt ``key`` made, whatever became of it since."""
    found = await search(client, {"Name": f"tag:{ATTEMPT_TAG}", "Values": [key]})
    alive = [instance for instance in found if state_of(instance) != GONE]
    return next(iter(alive or found), None)


async def wait_until(client: AwsClient, instance_id: str, wanted: str, deadline: datetime) -> Json:
    """The instance once it is in state ``wanted``, looking more and more seldom.

    Raises ``Rejected`` where it ended instead of starting, ``OutcomeUnknown`` where ``deadline`` comes first.
    """
    pause, began = FIRST_PAUSE_S, client.now()
    while True:
        instance = await by_id(client, instance_id)
        if instance is not None and instance["State"]["Name"] == wanted:
            return instance
        _give_up_if_hopeless(client, instance, instance_id, wanted, began)
        if client.now() + timedelta(seconds=pause) + MARGIN > deadline:
            state = instance["State"]["Name"] if instance else "not shown"
            raise OutcomeUnknown(
                f"AWS accepted the request, but {instance_id} is {state} and not yet {wanted}.",
                details={"instance_id": instance_id, "state": state},
            )
        await asyncio.sleep(pause)
        pause = min(pause * 1.6, LONGEST_PAUSE_S)


def _give_up_if_hopeless(
    client: AwsClient, instance: Json | None, instance_id: str, wanted: str, began: datetime
) -> None:
    """Raise where waiting longer cannot help: the instance has ended, or never appeared."""
    if instance is None and client.now() - began > BECOMES_VISIBLE_WITHIN:
        raise NotFound(f"AWS no longer shows {instance_id}.", field="instance")
    if instance is not None and wanted != GONE and state_of(instance) == GONE:
        reason = instance.get("StateReason", {}).get("Message") or "no reason given"
        raise Rejected(
            f"AWS ended {instance_id} instead of bringing it to {wanted}: {reason}",
            code="instance_ended",
            details={"instance_id": instance_id, "reason": reason},
        )


async def power(client: AwsClient, instance: Json, wanted: str, attempt: Attempt) -> Json:
    """The instance once it is ``running`` or ``stopped``. One that is on its way elsewhere is waited for first."""
    instance_id, state = instance["InstanceId"], instance["State"]["Name"]
    if state in SETTLED and SETTLED[state] != wanted:
        await wait_until(client, instance_id, SETTLED[state], attempt.deadline)
    if state_of(instance) != wanted:
        operation = "start_instances" if wanted == "running" else "stop_instances"
        await client.write(operation, attempt, InstanceIds=[instance_id])
    return await wait_until(client, instance_id, wanted, attempt.deadline)


def key_of(instance: Json | None, asked: str) -> str:
    """What the instance's target is named by: its name, or its id where it has none."""
    return (name_of(instance) or instance["InstanceId"]) if instance else asked


def planned_output(fields: Json) -> Json:
    """The output of an instance that an earlier step of the plan will make: what is known of it."""
    return {name: fields[name] for name in ("name", "state", "instance_type", "image_id") if name in fields}


async def is_protected(client: AwsClient, instance_id: str, attribute: str) -> bool:
    """Whether ``disableApiTermination`` or ``disableApiStop`` is set."""
    answer = await client.read("describe_instance_attribute", InstanceId=instance_id, Attribute=attribute)
    found = answer.get(attribute[0].upper() + attribute[1:], {})
    return bool(found.get("Value"))


async def wait_for(client: AwsClient, instance_id: str, wanted: str, attempt: Attempt) -> Json:
    """As ``wait_until``, up to the attempt's deadline."""
    return await wait_until(client, instance_id, wanted, attempt.deadline)


async def wait_after_all(client: AwsClient, instance_id: str, wanted: str, attempt: Attempt) -> Json:
    """As ``wait_until``, for an attempt that may be past its deadline: what it began is on its way still."""
    return await wait_until(client, instance_id, wanted, max(attempt.deadline, client.now() + PATIENCE))
