"""Which of AWS's permissions a connection has, asked by dry runs: AWS checks the permission and does nothing."""

from __future__ import annotations

from connectors.aws.client import AwsClient
from connectors.base import Json
from connectors.errors import AuthFailed, NotFound, Rejected

# Ids of the right form that are nobody's. AWS looks at the permission before it looks for the thing.
NO_INSTANCE = "i-00000000000000000"
NO_IMAGE = "ami-00000000000000000"
TAGS = [{"Key": "opsloom:test", "Value": "dry-run"}]

PROBES: dict[str, tuple[str, Json]] = {
    "ec2:RunInstances": (
        "run_instances",
        {"ImageId": NO_IMAGE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1},
    ),
    "ec2:StartInstances": ("start_instances", {"InstanceIds": [NO_INSTANCE]}),
    "ec2:StopInstances": ("stop_instances", {"InstanceIds": [NO_INSTANCE]}),
    "ec2:TerminateInstances": ("terminate_instances", {"InstanceIds": [NO_INSTANCE]}),
    "ec2:CreateTags": ("create_tags", {"Resources": [NO_INSTANCE], "Tags": TAGS}),
    "ec2:DeleteTags": ("delete_tags", {"Resources": [NO_INSTANCE], "Tags": TAGS}),
    "ec2:DescribeInstances": ("describe_instances", {}),
    "ec2:DescribeInstanceAttribute": (
        "describe_instance_attribute",
        {"InstanceId": NO_INSTANCE, "Attribute": "disableApiStop"},
    ),
    "ec2:DescribeImages": ("describe_images", {"Owners": ["self"]}),
    "ec2:DescribeInstanceTypes": ("describe_instance_types", {"InstanceTypes": ["t3.micro"]}),
    "ec2:DescribeSubnets": ("describe_subnets", {}),
    "ec2:DescribeSecurityGroups": ("describe_security_groups", {}),
    "ec2:DescribeKeyPairs": ("describe_key_pairs", {}),
}


async def is_granted(client: AwsClient, permission: str) -> bool:
    """Whether AWS permits it. Raises where AWS cannot be asked (throttled, unreachable, credentials refused)."""
    operation, params = PROBES[permission]
    try:
        await client.read(operation, **params, DryRun=True)
    except AuthFailed as error:
        if error.code != "missing_permission":
            raise
        return False
    except (NotFound, Rejected):
        # "DryRunOperation: it would have succeeded", or that the thing is nobody's: the permission was there.
        return True
    return True
