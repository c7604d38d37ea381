"""The simulator as a WSGI application: moto behind faults, a log and a state file; control under ``/_sim``."""

from __future__ import annotations

import contextlib
import json
import secrets
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from connectors.aws.simulator import control
from connectors.aws.simulator.cloud import Cloud, new_key
from connectors.aws.simulator.fixtures import DEMO
from connectors.aws.simulator.wire import Call, Reply, code_in, read_call, refusal
from connectors.simulation import Fault, Faults, Journal, Record

Json = dict[str, Any]
SERVICES = ("ec2", "sts", "iam")
LOOK_EVERY_S = 0.1


class HangUp(ConnectionError):
    """Close the connection with nothing sent. The server takes a ConnectionError for a caller who has gone."""


class Simulator:
    """All accounts of one process. ``state`` is a file that keeps them over a restart."""

    def __init__(self, state: Path | None = None) -> None:
        self.cloud, self.faults, self.journal = Cloud(), Faults(), Journal()
        self.keys: dict[str, Json] = {}
        self._state = state
        self._notes = threading.Lock()
        self._replay()

    # Accounts

    def seed(self, fixture: Json, key: Json | None = None) -> Json:
        """Make the fixture's account unless it is there; a key that is given is set anew. Gives what signs in."""
        slug = fixture["slug"]
        fresh = slug not in self.cloud.accounts
        if fresh:
            key = key or (new_key() if fixture.get("user") else None)
            # From the name, so that the ids in an account are the same wherever it is made.
            self._add(fixture, key, zlib.crc32(slug.encode()), note=True)
        elif key:
            self.keys[slug] = key
            self.cloud.set_key(self.cloud.account(slug), key)
            self._note({"key": key, "slug": slug})
        return {"slug": slug, "account_id": fixture["account_id"], "created": fresh, "config": self.config(slug)}

    def seed_demo(self, keys: Json | None = None) -> list[Json]:
        """The demonstration's accounts; those there already keep their machines."""
        return [self.seed(fixture, (keys or {}).get(fixture["slug"])) for fixture in DEMO]

    def config(self, slug: str) -> Json:
        """What a connection to this account holds."""
        fixture = self.cloud.account(slug)
        role = fixture.get("role")
        config = {**self.keys[role["trusts"] if role else slug], "region": fixture["region"]}
        if role:
            config |= {"role_arn": self.cloud.role_arn(fixture), "external_id": role["external_id"]}
        return config

    def dump(self, name: str | None = None) -> Json:
        """The state of one account, or of all by slug."""
        if name is not None:
            return self.cloud.dump(self.cloud.account(name))
        return {slug: self.cloud.dump(fixture) for slug, fixture in sorted(self.cloud.accounts.items())}

    def reset(self) -> None:
        """Forget accounts, faults, log and state file."""
        self.cloud.clear()
        self.keys.clear()
        self.faults.remove()
        self.journal.clear()
        if self._state is not None:
            self._state.unlink(missing_ok=True)

    def _add(self, fixture: Json, key: Json | None, seed: int, *, note: bool) -> None:
        self.cloud.add(fixture, key, seed)
        if key:
            self.keys[fixture["slug"]] = key
        if note:
            self._note({"account": fixture, "key": key, "seed": seed})

    # Keeping the state

    def _note(self, entry: Json) -> None:
        if self._state is None:
            return
        with self._notes:
            self._state.touch(mode=0o600)
            with self._state.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def _replay(self) -> None:
        """Do again what the state file notes. A line that a crash cut short is the last one and was never answered."""
        if self._state is None or not self._state.exists():
            return
        for line in self._state.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                self._again(json.loads(line))

    def _again(self, entry: Json) -> None:
        if "account" in entry:
            self._add(entry["account"], entry["key"], entry["seed"], note=False)
        elif "slug" in entry:
            self.keys[entry["slug"]] = entry["key"]
            self.cloud.set_key(self.cloud.account(entry["slug"]), entry["key"])
        else:
            self.cloud.perform_again(entry["account_id"], entry["region"], entry["body"], entry["seed"])

    # HTTP

    def __call__(self, environ: Json, start_response: Callable[..., Any]) -> Iterable[bytes]:
        is_control = environ["PATH_INFO"].startswith("/_sim/")
        status, headers, body = control.answer(self, environ) if is_control else self._answer(environ)
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(f"{status} -", [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, environ: Json) -> Reply:
        call = read_call(environ)
        account = self.cloud.account_of_key(call.access_key)
        known = next((slug for slug, one in self.cloud.accounts.items() if one["account_id"] == account), "")
        shown = {name: value for name, value in call.fields.items() if name not in ("Version", "Action")}
        record = self.journal.open(tenant=known, method=call.method, path=call.path, body=shown, write=call.write)
        taken = self.faults.take(method=call.method, path=call.path, tenant=known, write=call.write)
        record.faults = [fault.kind for fault in taken]
        for fault in taken:
            early = self._before(fault, call, environ)
            if early is not None:
                return self._noted(record, early)
        reply = self._work(environ, call, account, record)
        for fault in taken:
            self._after(fault, environ)
        return reply

    def _work(self, environ: Json, call: Call, account: str, record: Record) -> Reply:
        """Have moto answer, and note a write that it did."""
        if call.service not in SERVICES:
            return self._noted(record, refusal(call.service, 501, "NotSimulated", f"{call.service} is not simulated."))
        if call.action == "AssumeRole" and not self.cloud.admits(
            call.fields.get("RoleArn", ""), call.fields.get("ExternalId", "")
        ):
            denied = f"Not authorized to perform sts:AssumeRole on resource: {call.fields.get('RoleArn')}"
            return self._noted(record, refusal(call.service, 403, "AccessDenied", denied))
        seed, machines_of = secrets.randbits(32), account if call.service == "ec2" else ""
        reply = self._noted(record, self.cloud.perform(environ, machines_of, call.region, seed))
        record.changed = call.write and reply[0] < 400
        if record.changed:
            self._note({"account_id": account, "region": call.region, "body": call.body.decode(), "seed": seed})
        return reply

    @staticmethod
    def _noted(record: Record, reply: Reply) -> Reply:
        record.status = reply[0]
        record.error = {"code": code_in(reply)} if reply[0] >= 400 else None
        return reply

    # Faults

    def _before(self, fault: Fault, call: Call, environ: Json) -> Reply | None:
        """What a fault does instead of the work; None where the work is done all the same."""
        if fault.kind == "throttle":
            wait = {"Retry-After": str(fault.retry_after)}
            return refusal(call.service, 503, "RequestLimitExceeded", "Request limit exceeded.", wait)
        if fault.kind == "error":
            return refusal(call.service, fault.status, fault.code, "The simulator was told to fail.")
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault.kind in ("drop", "timeout") and fault.when == "before":
            self._after(fault, environ)
        return None

    def _after(self, fault: Fault, environ: Json) -> None:
        """Lose the answer, at once or after a silence."""
        if fault.kind == "timeout":
            self._be_silent(fault, environ.get("werkzeug.socket"))
        if fault.kind in ("drop", "timeout"):
            _close(environ.get("werkzeug.socket"))
            raise HangUp

    def _be_silent(self, fault: Fault, caller: socket.socket | None) -> None:
        until = time.monotonic() + fault.seconds
        while time.monotonic() < until and not _has_gone(caller):
            if self.faults.wait_removed(fault, min(LOOK_EVERY_S, max(until - time.monotonic(), 0))):
                return


def _has_gone(caller: socket.socket | None) -> bool:
    """Whether the other end of the connection is closed."""
    if caller is None:
        return False
    try:
        readable, _, _ = select.select([caller], [], [], 0)
        return bool(readable) and caller.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True


def _close(caller: socket.socket | None) -> None:
    if caller is not None:
        with contextlib.suppress(OSError):
            caller.shutdown(socket.SHUT_RDWR)
