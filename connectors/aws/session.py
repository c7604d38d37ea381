"""The blocking half of the AWS client: credentials, the assumed role and boto3's clients. Used from threads only."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from connectors.aws.config import AwsConfig
from connectors.aws.errors import SIGN_IN, code_of, throttled_s
from connectors.base import Environment, Json
from connectors.errors import AuthFailed

CONNECT_TIMEOUT_S = 5
# How long a read is awaited, and a write at least: it may take as long as its attempt.
READ_TIMEOUT_S = 60
ROLE_SECONDS = 3600
RENEW_BEFORE = timedelta(minutes=5)

# botocore's variables as (name in a file, environment variable, default, conversion): neither files nor environment.
NOTHING_OF_THIS_MACHINE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


@dataclass(frozen=True)
class SignedIn:
    """Credentials that are known to lead to ``account``. ``expires`` is None for long-lived keys."""

    account: str
    access_key: str
    secret_key: str
    token: str | None = None
    expires: datetime | None = None

    def fresh(self, now: datetime) -> bool:
        return self.expires is None or now + RENEW_BEFORE < self.expires

    def __repr__(self) -> str:
        return f"SignedIn(account={self.account!r})"


@lru_cache(maxsize=1)
def _loader() -> Any:
    """One loader for the process: reading EC2's description takes ten times as long as making a client."""
    from botocore.loaders import create_loader

    return create_loader()


class Link:
    """Calls AWS for one client of the MSP. Signs in at the first call, and again before a role's hour is over."""

    def __init__(self, client_id: UUID, config: AwsConfig, environment: Environment) -> None:
        self._client_id, self._config = client_id, config
        self._endpoint = environment.endpoints.get("endpoint")
        self._now = environment.now or (lambda: datetime.now(UTC))
        self._throttled = environment.throttled
        self._lock = threading.Lock()
        self._signed_in: SignedIn | None = None
        self._clients: dict[tuple[str, bool, int], Any] = {}

    def account(self, *, anew: bool = False) -> str:
        """The number of the account that the credentials lead to. ``anew`` asks AWS again."""
        with self._lock:
            if anew:
                self._forget()
            return self._sign_in().account

    def call(self, service: str, operation: str, params: Json, *, write: bool, left_s: float = 0.0) -> Json:
        """One request; the answer to a write is awaited for ``left_s`` seconds at least. Raises botocore's exceptions,
        and ``AuthFailed`` where the account is another."""
        wait_s = _patience(left_s)
        try:
            return self._send(service, operation, params, write, wait_s)
        except Exception as error:
            # A role's session can end before its hour is over. The refusal came before any work, so even a write may be
            # sent again, in a new session.
            if code_of(error) not in SIGN_IN or not self._config.role_arn:
                raise
            with self._lock:
                self._forget()
            return self._send(service, operation, params, write, wait_s)

    def close(self) -> None:
        """Close the pooled connections and forget the credentials."""
        with self._lock:
            self._forget()

    def _send(self, service: str, operation: str, params: Json, write: bool, wait_s: int) -> Json:
        client = self._client(service, write, wait_s)
        answer = cast(Json, getattr(client, operation)(**params))
        answer.pop("ResponseMetadata", None)
        return answer

    def _client(self, service: str, write: bool, wait_s: int) -> Any:
        key = (service, write, wait_s)
        with self._lock:
            signed_in = self._sign_in()
            if key not in self._clients:
                self._clients[key] = self._make(service, signed_in, write=write, wait_s=wait_s)
            return self._clients[key]

    def _sign_in(self) -> SignedIn:
        """Credentials whose account was checked. The caller holds the lock."""
        if self._signed_in is None or not self._signed_in.fresh(self._now()):
            self._forget()
            self._signed_in = self._assume_role() if self._config.role_arn else self._own_keys()
        return self._signed_in

    def _own_keys(self) -> SignedIn:
        secret = self._config.secret_access_key.get_secret_value()
        keys = SignedIn("", self._config.access_key_id, secret)
        account = str(self._make("sts", keys, write=False).get_caller_identity()["Account"])
        self._check(account)
        return SignedIn(account, keys.access_key, keys.secret_key)

    def _assume_role(self) -> SignedIn:
        """The client's role, in a session whose name tells the client's CloudTrail who is at work."""
        secret = self._config.secret_access_key.get_secret_value()
        sts = self._make("sts", SignedIn("", self._config.access_key_id, secret), write=False)
        asked: Json = {
            "RoleArn": self._config.role_arn,
            "RoleSessionName": f"opsloom-{self._client_id}",
            "DurationSeconds": ROLE_SECONDS,
        }
        if self._config.external_id:
            asked["ExternalId"] = self._config.external_id
        answer = sts.assume_role(**asked)
        account = str(answer["AssumedRoleUser"]["Arn"]).split(":")[4]
        self._check(account)
        given = answer["Credentials"]
        return SignedIn(
            account, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], given["Expiration"]
        )

    def _check(self, account: str) -> None:
        expected = self._config.expected_account
        if expected and account != expected:
            raise AuthFailed(
                f"The credentials lead to account {account}, the connection is for {expected}.",
                code="wrong_account",
                details={"found": account, "expected": expected},
            )

    def _make(self, service: str, keys: SignedIn, *, write: bool, wait_s: int = READ_TIMEOUT_S) -> Any:
        """A boto3 client that reads nothing of this machine's own AWS set-up (profiles, endpoints, metadata)."""
        import boto3
        import botocore.session
        from botocore.config import Config

        # A write goes out once: whether it was done is found out by its key, not by sending it again.
        attempts = 1 if write else 3
        options: Json = {
            "retries": {"total_max_attempts": attempts, "mode": "standard"},
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": wait_s,
            "max_pool_connections": 16,
            "ignore_configured_endpoint_urls": True,
            "user_agent_extra": "opsloom",
        }
        if self._endpoint:
            options["proxies"] = {}
        core = botocore.session.Session(session_vars=NOTHING_OF_THIS_MACHINE)
        core.register_component("data_loader", _loader())
        session = boto3.session.Session(keys.access_key, keys.secret_key, keys.token, botocore_session=core)
        client = session.client(
            service, region_name=self._config.region, endpoint_url=self._endpoint, config=Config(**options)
        )
        client.meta.events.register("needs-retry", self._tell)
        return client

    def _tell(self, response: tuple[Any, Json] | None = None, attempts: int = 1, **_: Any) -> None:
        """Whoever else asks this account is told that AWS asks for fewer requests, before botocore waits and asks again
        by itself. Giving nothing leaves the decision to botocore."""
        wait_s = throttled_s(response[1], attempts) if response else None
        if wait_s is not None and self._throttled:
            self._throttled(wait_s)

    def _forget(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients, self._signed_in = {}, None


def _patience(left_s: float) -> int:
    """``left_s`` rounded up: a timeout belongs to a client and not to a call, and so few of them are enough."""
    wait_s = READ_TIMEOUT_S
    while wait_s < left_s:
        wait_s *= 2
    return wait_s
