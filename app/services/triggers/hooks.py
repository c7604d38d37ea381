"""What a webhook was sent: proved, checked, and turned into one run.

Signatures follow the Standard Webhooks convention: HMAC-SHA256 over ``id.timestamp.body``. A delivery that comes again
under its id starts nothing again and is answered as the first time, so a sender may repeat what it got no answer to.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func
from sqlmodel import select

from app.core import crypto
from app.core.errors import Invalid, Missing, OpsloomError, Problem, Stale, TooMany
from app.core.ids import new_id
from app.core.storable import storable
from app.data import counters
from app.data.models.triggers import Trigger, TriggerFiring
from app.data.session import tenant_session
from app.engine.core.document import excess
from app.engine.core.schema_check import value_problems
from app.services import limits
from app.services.triggers import secrets
from app.services.triggers.configs import WebhookConfig, stored_config
from app.services.triggers.firing import Cause, fire, locked

Json = dict[str, Any]
LARGEST_PAYLOAD = 256_000
TOLERANCE_S = 300
WRONG_A_MINUTE = 30
DELIVERIES_A_MINUTE = 600
# Every refusal of a proof takes as long, whatever was wrong: looking up, asking the vault and comparing take less.
_REFUSAL_TAKES_S = 0.25
_ID = re.compile(r"[!-~]{1,128}")


class Received(BaseModel):
    """What came of a delivery: the run, or why none was started."""

    model_config = ConfigDict(frozen=True)

    firing: UUID
    outcome: str
    run: UUID | None
    why: Json | None = None


@dataclass(frozen=True)
class Delivery:
    """What was sent, as it was sent. ``headers`` are in lower case."""

    token: str
    headers: Mapping[str, str]
    body: bytes
    ip: str | None


class Refused(Stale):
    """The delivery is genuine, but its trigger starts nothing now."""

    code = "trigger_off"


async def receive(sent: Delivery) -> Received:
    """Start what the delivery is to start.

    Raises Missing for an unknown address and for a wrong proof alike, TooMany, Invalid where the payload does not fit,
    Refused where the trigger is off or may not start it.
    """
    began = time.monotonic()
    await _slow_down(sent.ip)
    row = await _genuine(sent)
    if row is None:
        await counters.count("rate-hook-wrong", sent.ip or "", window_s=60.0)
        await asyncio.sleep(max(0.0, began + _REFUSAL_TAKES_S - time.monotonic()))
        raise Missing("webhook")
    await limits.count("hook", str(row.id), most=DELIVERIES_A_MINUTE)
    payload = _parse(sent.body)
    firing = await _fire(row, payload, sent)
    if firing.outcome == "refused":
        raise _said(firing.why or {})
    return Received(firing=firing.id, outcome=firing.outcome, run=firing.run_id, why=firing.why)


async def _slow_down(ip: str | None) -> None:
    found = await counters.count("rate-hook-wrong", ip or "", window_s=60.0, by=0)
    if found.count >= WRONG_A_MINUTE:
        wait = max(1, int(found.seconds_left + 0.999))
        raise TooMany(f"Too many requests. Try again in {wait} seconds.", params={"retry_after": wait})


async def _genuine(sent: Delivery) -> Trigger | None:
    """The trigger that was addressed, if the sender has proved itself."""
    client_id = secrets.client_of_token(sent.token)
    if client_id is None:
        return None
    async with tenant_session(client_id) as session:
        query = select(Trigger, func.clock_timestamp()).where(
            Trigger.client_id == client_id, Trigger.token_hash == crypto.token_hash(sent.token)
        )
        found = (await session.exec(query)).first()
    if found is None:
        return None
    row, now = found
    config = stored_config(row.config, row.kind)
    assert isinstance(config, WebhookConfig)
    proved = _knows_secret(row, sent) if config.auth == "secret" else await _has_signed(row, sent, now)
    return row if proved else None


def _knows_secret(row: Trigger, sent: Delivery) -> bool:
    scheme, _, secret = sent.headers.get("authorization", "").partition(" ")
    given = crypto.token_hash(secret.strip())
    return scheme.lower() == "bearer" and hmac.compare_digest(given, row.secret_hash or b"")


async def _has_signed(row: Trigger, sent: Delivery, now: datetime) -> bool:
    number, stamp = sent.headers.get("webhook-id", ""), sent.headers.get("webhook-timestamp", "")
    if not _ID.fullmatch(number) or not is_recent(stamp, now):
        return False
    key = await secrets.signing_key(row)
    if key is None:
        return False
    expected = signature(key, number, stamp, sent.body)
    given = sent.headers.get("webhook-signature", "").split(" ")[:10]
    return any(hmac.compare_digest(expected.encode(), each.encode("utf-8", "replace")) for each in given)


def is_recent(stamp: str, now: datetime) -> bool:
    """Whether ``stamp``, in whole seconds of Unix time, lies at most TOLERANCE_S before or after ``now``."""
    return re.fullmatch(r"[0-9]{1,12}", stamp) is not None and abs(now.timestamp() - int(stamp)) <= TOLERANCE_S


def signature(key: bytes, number: str, stamp: str, body: bytes) -> str:
    """The signature of a delivery, as its header has it."""
    digest = hmac.new(key, f"{number}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{crypto.encode(digest)}"


def _parse(body: bytes) -> Any:
    try:
        payload = json.loads(body or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Invalid("The body is not JSON.", code="body_not_json") from None
    if excess({"payload": payload}, LARGEST_PAYLOAD):
        raise Invalid("The body is nested too deeply, or holds a number that is too large.", code="payload_unfit")
    return storable(payload)  # a sender cannot mend what somebody has cut off in the middle of a character


def _no_constant(name: str) -> Any:
    raise ValueError(name)


async def _fire(row: Trigger, payload: Any, sent: Delivery) -> TriggerFiring:
    number = sent.headers.get("webhook-id", "")
    key = f"hook:{number if _ID.fullmatch(number) else new_id()}"
    async with tenant_session(row.client_id) as session:
        found = await locked(session, row.client_id, Trigger.id == row.id)
        if not found or not found[0].enabled:
            raise Refused("This webhook is switched off.")
        config = stored_config(found[0].config, "webhook")
        assert isinstance(config, WebhookConfig)
        inputs = payload.get("inputs", {}) if config.take == "payload" and isinstance(payload, dict) else None
        problems = _unfit(config, payload)
        return await fire(
            session, found[0], Cause(key, payload, inputs=inputs, ip=sent.ip, unfit=problems, mendable=True)
        )


def _unfit(config: WebhookConfig, payload: Any) -> tuple[Problem, ...]:
    """What is wrong with the payload as such."""
    own = payload.get("inputs", {}) if isinstance(payload, dict) else None
    if config.take == "payload" and not isinstance(own, dict):
        message = "The body must be an object whose inputs are an object."
        return (Problem("wrong_type", message, field="inputs"),)
    schema = config.payload_schema
    return tuple(value_problems(payload, schema, schema, "payload")) if schema is not None else ()


def _said(why: Json) -> OpsloomError:
    """A refused firing as an answer. What is wrong inside (a permission, a workflow) is for our people to read."""
    if why.get("code") in ("inputs_invalid", "payload_unfit"):
        problems = [
            Problem(each["code"], each["message"], field=each.get("field"), params=each.get("params", {}))
            for each in why.get("errors", ())
        ]
        return Invalid(why["message"], code=why["code"], problems=problems)
    return Refused("This webhook cannot start its workflow now. Its owner can see why.", code="trigger_refused")
