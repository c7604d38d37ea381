"""moto inside this process: accounts made from fixtures, requests answered, state dumped."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import zlib
from datetime import datetime
from typing import Any

# moto reads these when it is imported. An unknown image or type is refused, as AWS does.
os.environ.setdefault("MOTO_ENABLE_AMI_VALIDATION", "true")
os.environ.setdefault("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true")

from moto import settings
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import EnvironBuilder, run_wsgi_app

Json = dict[str, Any]
Reply = tuple[int, list[tuple[str, str]], bytes]
PARTITION = "aws"
NEVER = float("inf")


class Cloud:
    """Every account of the simulated AWS. moto has one state for the process, so there is one of these in it."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.RLock()
        self.accounts: dict[str, Json] = {}
        self._enforce(True)
        self._warm()

    # Accounts

    def account(self, name: str) -> Json:
        """The fixture of the account with that slug or number. Raises LookupError."""
        for account in self.accounts.values():
            if name in (account["slug"], account["account_id"]):
                return account
        raise LookupError(f"account {name!r}")

    def add(self, fixture: Json, key: Json | None, seed: int) -> None:
        """Make the account of ``fixture``; ``key`` is its user's access key. ``seed`` decides the ids in it."""
        with self._lock:
            if fixture.get("images"):
                self._open(fixture["account_id"], fixture["region"])
            mock_random.seed(seed)
            self.accounts[fixture["slug"]] = fixture
            iam = iam_backends[fixture["account_id"]][PARTITION]
            iam.create_account_alias(fixture["display_name"])
            if fixture.get("user"):
                iam.create_user(fixture["region"], fixture["user"]["name"])
                iam.put_user_policy(fixture["user"]["name"], "opsloom", _policy(fixture["user"]["actions"]))
                self.set_key(fixture, key or new_key())
            if fixture.get("role"):
                self._add_role(fixture)
            self._add_machines(fixture)

    def set_key(self, fixture: Json, key: Json) -> None:
        """Give the account's user this one access key."""
        with self._lock:
            iam = iam_backends[fixture["account_id"]][PARTITION]
            user = iam.get_user(fixture["user"]["name"])
            for old in list(user.access_keys):
                iam.access_keys.pop(old.access_key_id, None)
                user.access_keys.remove(old)
            made = user.create_access_key(prefix="AKIA")
            made.access_key_id, made.secret_access_key = key["access_key_id"], key["secret_access_key"]
            iam.access_keys[made.access_key_id] = made

    def _add_role(self, fixture: Json) -> None:
        role = fixture["role"]
        trusted = self.account(role["trusts"])["account_id"]
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{trusted}:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": role["external_id"]}},
        }
        iam = iam_backends[fixture["account_id"]][PARTITION]
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(role["name"], document, "/", None, "For the managed service provider", [], None)
        iam.put_role_policy(role["name"], "opsloom", _policy(role["actions"]))

    def _add_machines(self, fixture: Json) -> None:
        if not fixture.get("images"):
            return  # loading AWS's public images takes a quarter of a second
        ec2 = ec2_backends[fixture["account_id"]][fixture["region"]]
        images = {image["name"]: _add_image(ec2, image) for image in fixture.get("images", [])}
        for name in fixture.get("key_pairs", []):
            ec2.create_key_pair(name, "ed25519", {})
        for group in fixture.get("security_groups", []):
            ec2.create_security_group(group["name"], group["description"], vpc_id=ec2.get_default_vpc().id)
        for one in fixture.get("instances", []):
            _add_instance(ec2, one, images[one["image"]])

    def role_arn(self, fixture: Json) -> str:
        return f"arn:aws:iam::{fixture['account_id']}:role/{fixture['role']['name']}"

    def admits(self, role_arn: str, external_id: str) -> bool:
        """Whether the role's trust policy lets the MSP in with that external id (moto does not look at it)."""
        for fixture in self.accounts.values():
            if fixture.get("role") and self.role_arn(fixture) == role_arn:
                return bool(fixture["role"]["external_id"] == external_id)
        return False

    def clear(self) -> None:
        """Forget every account."""
        with self._lock:
            BackendDict.reset()
            reset_model_data()
            self.accounts.clear()

    # Requests

    def perform(self, environ: Json, account_id: str, region: str, seed: int) -> Reply:
        """Answer one request of a client, with IAM enforced. One at a time: moto is not made for threads.

        ``account_id`` and ``region`` say where EC2 is asked; they are empty for other services.
        """
        with self._lock:
            if account_id:
                self._open(account_id, region)
            mock_random.seed(seed)
            body, status, headers = run_wsgi_app(self._app, environ, buffered=True)
            return int(status.split()[0]), list(headers), b"".join(body)

    def perform_again(self, account_id: str, region: str, body: str, seed: int) -> int:
        """Do a noted write once more; gives the status. It was permitted the first time."""
        scope = f"Credential=AKIAREPLAYREPLAY/20260101/{region}/ec2/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "x-moto-account-id": account_id,
        }
        builder = EnvironBuilder(method="POST", path="/", headers=headers, data=body.encode())
        with self._lock:
            self._enforce(False)
            try:
                return self.perform(builder.get_environ(), account_id, region, seed)[0]
            finally:
                self._enforce(True)

    def account_of_key(self, access_key: str) -> str:
        """Number of the account that an access key belongs to, or an empty string."""
        for account_id, account in list(iam_backends.items()):
            if access_key in account[PARTITION].access_keys:
                return str(account_id)
        return ""

    def _warm(self) -> None:
        """Have moto load its services now. It uses up random numbers for that, which the noted seeds do not know of."""
        for service in ("ec2", "sts", "iam"):
            scope = f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/{service}/aws4_request, Signature=0"
            self._app.get_application({"PATH_INFO": "/", "HTTP_AUTHORIZATION": scope})

    @staticmethod
    def _open(account_id: str, region: str) -> None:
        """Make the region's default network, with ids from its own name, the first time that anybody looks there."""
        regions = ec2_backends[account_id]
        if region not in regions:
            mock_random.seed(zlib.crc32(f"{account_id}/{region}".encode()))
            with contextlib.suppress(KeyError):  # no such region: moto answers that itself
                regions[region]

    @staticmethod
    def _enforce(on: bool) -> None:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if on else NEVER

    # Looking in

    def dump(self, fixture: Json) -> Json:
        """Instances and volumes of the account in every region it uses. What AWS itself forgets (terminated) is not
        in it, and no times."""
        with self._lock:
            regions = ec2_backends[fixture["account_id"]]
            instances = [_instance(i, name) for name, ec2 in regions.items() for i in ec2.all_instances()]
            volumes = [_volume(v, name) for name, ec2 in regions.items() for v in ec2.volumes.values()]
        alive = [one for one in instances if one["state"] != "terminated"]
        return {
            "account_id": fixture["account_id"],
            "instances": sorted(alive, key=lambda one: one["instance_id"]),
            "volumes": sorted(volumes, key=lambda one: one["volume_id"]),
        }


def new_key() -> Json:
    """An access key nobody has yet."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    key_id = "AKIA" + "".join(secrets.choice(alphabet) for _ in range(16))
    return {"access_key_id": key_id, "secret_access_key": secrets.token_urlsafe(30)}


def _policy(actions: list[str]) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _add_image(ec2: Any, image: Json) -> Any:
    """An image of the account's own, as a person would have built it."""
    made = Ami(
        ec2,
        "ami-" + mock_random.get_random_hex(17),
        name=image["name"],
        description=image["description"],
        architecture=image.get("architecture", "x86_64"),
        virtualization_type="hvm",
        hypervisor="xen",
        root_device_type="ebs",
        root_device_name="/dev/xvda",
        region_name=f"{ec2.region_name}a",
        creation_date=datetime.fromisoformat(image["created"]),
    )
    ec2.amis[made.id] = made
    return made


def _add_instance(ec2: Any, one: Json, image: Any) -> None:
    reservation = ec2.run_instances(
        image.id,
        1,
        None,
        [],
        instance_type=one["instance_type"],
        is_instance_type_default=False,
        region_name=ec2.region_name,
        tags={"instance": {"Name": one["name"], **one.get("tags", {})}, "volume": {}},
    )
    if one.get("protected"):
        reservation.instances[0].disable_api_termination = True
    if one.get("state") == "stopped":
        reservation.instances[0].stop()


def _instance(instance: Any, region: str) -> Json:
    return {
        "instance_id": instance.id,
        "region": region,
        "state": instance.state,
        "image_id": instance.image_id,
        "instance_type": instance.instance_type,
        "subnet_id": instance.subnet_id,
        "key_name": instance.key_name,
        "private_ip": instance.private_ip,
        "security_groups": sorted(group.id for group in instance.security_groups),
        "protected": bool(instance.disable_api_termination),
        "tags": {tag["key"]: tag["value"] for tag in sorted(instance.get_tags(), key=lambda tag: tag["key"])},
    }


def _volume(volume: Any, region: str) -> Json:
    attached = volume.attachment.instance.id if volume.attachment else None
    return {"volume_id": volume.id, "region": region, "size": volume.size, "attached_to": attached}
