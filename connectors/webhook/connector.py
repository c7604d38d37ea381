"""Signed messages to a system that the client names."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID, uuid4

from pydantic import BaseModel

from connectors.base import Connector, Environment, PermissionReport, Rate, Text
from connectors.webhook.actions.message_send import SendMessage
from connectors.webhook.client import WebhookClient
from connectors.webhook.config import WebhookConfig


class Webhook(Connector):
    """The manifest."""

    id = "webhook"
    title = Text("Webhook", "Webhook")
    icon = "webhook"
    Config: ClassVar[type[BaseModel]] = WebhookConfig
    actions = (SendMessage,)
    rate = Rate(per_s=10, burst=20)
    address_fields = ("address",)

    def open(self, client_id: UUID, config: BaseModel, environment: Environment) -> WebhookClient:
        if not isinstance(config, WebhookConfig):
            raise TypeError("the configuration is not one of webhooks")
        return WebhookClient(client_id, config, environment)

    def destinations(self, config: Any) -> frozenset[str]:
        return frozenset({config.address})

    async def test(self, client: Any) -> PermissionReport:
        """Send a signed ping, which asks for nothing but an answer."""
        await client.ping(str(uuid4()))
        return PermissionReport(
            tenant=str(client.url).partition("?")[0], tenant_name=client.host, granted=("webhook.send",), missing=()
        )
