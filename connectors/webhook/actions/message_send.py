"""Tell another system something, signed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from connectors.base import (
    Applied,
    Attempt,
    Change,
    Json,
    Output,
    Params,
    Planned,
    Risk,
    Text,
    World,
    WriteAction,
    param,
)
from connectors.errors import OutcomeUnknown, Rejected
from connectors.webhook.client import WebhookClient, message

KB = 1024
MOST_DATA = 512 * KB
# Longer data are shown by their size and their digest.
SHOWN_DATA = 16 * KB
CANNOT = Text("A message that was sent cannot be taken back.", "Un message envoyé ne peut pas être repris.")


class NotifyParams(Params):
    event: str = param(
        "Event",
        "Événement",
        help_en="What the message is about, for the receiver: employee.joined.",
        help_fr="De quoi parle le message, pour le destinataire : employee.joined.",
        placeholder="employee.joined",
        pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$",
        max_length=100,
    )
    data: dict[str, Any] = param(
        "Data",
        "Données",
        default_factory=dict,
        widget="json",
        help_en="A JSON object. Its texts may hold expressions.",
        help_fr="Un objet JSON. Ses textes peuvent contenir des expressions.",
    )


class NotifyOutput(Output):
    """``message_id`` is what the receiver knows the message by."""

    message_id: str
    status: int


class SendMessage(WriteAction[WebhookClient, NotifyParams]):
    """Acts every time. Nothing is asked while planning: a receiver has nothing to look at."""

    id = "webhook.message.send"
    title = Text("Notify by webhook", "Notifier par webhook")
    summary = Text(
        "Posts a signed message to the connection's address.", "Envoie un message signé à l’adresse de la connexion."
    )
    category = "web"
    icon = "webhook"
    risk = Risk.LOW
    reversible = False
    irreversible_reason = CANNOT
    permissions = ("webhook.send",)
    Params = NotifyParams
    Output = NotifyOutput

    async def plan(self, client: WebhookClient, params: NotifyParams, world: World) -> Planned:
        change = Change(
            kind="create",
            target=f"webhook.message:{params.event}@{client.host}".lower(),
            label=f"{params.event} → {client.host}",
            after={"event": params.event, "address": str(client.url), "data": _shown(params)},
            reversible=False,
            irreversible_reason=CANNOT,
        )
        return Planned(change)

    async def apply(self, client: WebhookClient, params: NotifyParams, change: Change, attempt: Attempt) -> Applied:
        status = await client.send(params.event, message(params.data, params.event, attempt.key), attempt)
        return Applied(change, {"message_id": attempt.key, "status": status})

    async def recover(
        self, client: WebhookClient, params: NotifyParams, change: Change, attempt: Attempt
    ) -> Applied | None:
        """There is nothing to look at. Where the receiver drops what it has seen, the same message is sent again."""
        if client.deduplicates:
            return None
        raise OutcomeUnknown(
            f"The answer to {change.label} was lost. Whether it came can only be seen at the receiver, by the message"
            f" id {attempt.key}.",
            details={"message_id": attempt.key},
        )


def _shown(params: NotifyParams) -> Json:
    """The data, as people approve them and as the seal holds them. Raises Rejected where they are too large."""
    try:
        raw = json.dumps(params.data, ensure_ascii=False, allow_nan=False, sort_keys=True).encode()
    except ValueError:
        raise Rejected("It has values that cannot be sent.", code="value_unsendable", field="data") from None
    if len(raw) > MOST_DATA:
        raise Rejected(f"The data are larger than {MOST_DATA // KB} KB.", code="body_too_large", field="data")
    return params.data if len(raw) <= SHOWN_DATA else {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
