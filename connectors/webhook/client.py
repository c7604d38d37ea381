"""The link to one receiver of webhooks: what the actions call."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from time import perf_counter
from uuid import UUID

from connectors.base import Attempt, Environment, Json
from connectors.errors import ConnectorError, Retryable
from connectors.net import Guard, Resolver, system_resolver
from connectors.web import Answer, Web, name_of, refusal, url_of
from connectors.webhook.config import WebhookConfig
from connectors.webhook.signature import EVENT, ID, SIGNATURE, TIMESTAMP, sign

PING = "opsloom.ping"
PING_S = 30.0
# An attempt with less time left is not begun.
LEAST_S = 2.0
MOST_ANSWER = 16 * 1024
HIDDEN = "[secret]"


class WebhookClient:
    """Posts signed messages to one address."""

    def __init__(
        self, client_id: UUID, config: WebhookConfig, environment: Environment, *, resolver: Resolver = system_resolver
    ) -> None:
        self.client_id = client_id
        self.deduplicates = config.deduplicates
        self.url = url_of(config.address, "address")
        self.host = name_of(self.url)
        self._secret = config.secret
        self._now = environment.now or (lambda: datetime.now(UTC))
        self._observe = environment.observe
        self._web = Web(Guard(environment.networks, resolver), environment.endpoints)

    async def ping(self, message_id: str) -> None:
        """A message that asks for nothing but an answer. Raises what the answer means."""
        await self._post(PING, message_id, message({"ping": True}, PING, message_id), PING_S, write=False)

    async def send(self, event: str, body: bytes, attempt: Attempt) -> int:
        """One message, sent once, and awaited until the attempt's deadline. Gives the status of the answer.

        Raises OutcomeUnknown where it was sent and no clear answer came.
        """
        left = (attempt.deadline - self._now()).total_seconds()
        if left < LEAST_S:
            raise Retryable("Too little time was left for this attempt; nothing was sent.", code="deadline")
        return (await self._post(event, attempt.key, body, left, write=True)).status

    async def aclose(self) -> None:
        await self._web.aclose()

    async def _post(self, event: str, message_id: str, body: bytes, timeout_s: float, *, write: bool) -> Answer:
        started, outcome = perf_counter(), "cancelled"
        try:
            answer = await self._web.send(
                "POST",
                self.url,
                self._headers(event, message_id, body),
                body,
                write=write,
                timeout_s=timeout_s,
                max_bytes=MOST_ANSWER,
            )
            outcome = str(answer.status)
        except ConnectorError as error:
            outcome = error.code
            raise
        finally:
            if self._observe:
                self._observe("webhook", "ping" if event == PING else "send", perf_counter() - started, outcome)
        if not 200 <= answer.status < 300:
            excerpt = answer.text.replace(self._secret.get_secret_value(), HIDDEN)
            raise refusal(answer, f"The message to {self.host}", excerpt, write=write)
        return answer

    def _headers(self, event: str, message_id: str, body: bytes) -> dict[str, str]:
        """Signed at the moment of sending: a receiver refuses what is old."""
        timestamp = int(self._now().timestamp())
        return {
            "user-agent": "Opsloom",
            "content-type": "application/json",
            ID: message_id,
            EVENT: event,
            TIMESTAMP: str(timestamp),
            SIGNATURE: sign(self._secret.get_secret_value(), timestamp, body),
        }


def message(data: Json, event: str, message_id: str) -> bytes:
    """The body: what it is, its id, and what the step says. The signature covers all of it."""
    return json.dumps(
        {"id": message_id, "event": event, "data": data}, ensure_ascii=False, separators=(",", ":")
    ).encode()
