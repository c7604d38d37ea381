"""Mail over SMTP, through a server that the client names."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel

from connectors.base import Connector, Environment, PermissionReport, Rate, Text
from connectors.errors import AuthFailed
from connectors.mail.actions.message_send import SendMessage
from connectors.mail.client import MailClient
from connectors.mail.config import MailConfig


class Mail(Connector):
    """The manifest."""

    id = "mail"
    title = Text("E-mail (SMTP)", "E-mail (SMTP)")
    icon = "mail"
    Config: ClassVar[type[BaseModel]] = MailConfig
    actions = (SendMessage,)
    # Providers bear about thirty messages a minute; each takes a look and an act.
    rate = Rate(per_s=1, burst=20)
    address_fields = ("host", "port")

    def open(self, client_id: UUID, config: BaseModel, environment: Environment) -> MailClient:
        if not isinstance(config, MailConfig):
            raise TypeError("the configuration is not one of mail")
        return MailClient(client_id, config, environment)

    def destinations(self, config: Any) -> frozenset[str]:
        return frozenset({f"{config.host}:{config.port}"})

    async def test(self, client: Any) -> PermissionReport:
        """Sign in and ask whether mail from our sender is taken. Nothing is sent."""
        config: MailConfig = client.config
        may_send = True
        try:
            await client.check(())
        except AuthFailed as error:
            if error.code != "sender_refused":
                raise
            may_send = False
        return PermissionReport(
            tenant=f"{config.host}/{config.username or config.sender}",
            tenant_name=config.host,
            granted=("mail.send",) if may_send else (),
            missing=() if may_send else ("mail.send",),
        )
