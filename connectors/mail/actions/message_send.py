"""Send an e-mail."""

from __future__ import annotations

import hashlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from pydantic import field_validator, model_validator

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
from connectors.mail.addresses import mailbox, mailboxes, one_line
from connectors.mail.client import MailClient

KB = 1024
MOST_TEXT = 512 * KB
# A longer text is shown by its size and its digest.
SHOWN_TEXT = 16 * KB
MOST_RECIPIENTS = 100
CANNOT = Text("A message that was sent cannot be taken back.", "Un message envoyé ne peut pas être repris.")


class MessageParams(Params):
    to: list[str] = param("To", "À", placeholder="anna@example.com", min_length=1, max_length=MOST_RECIPIENTS)
    cc: list[str] = param("Copy to", "Copie à", default_factory=list, max_length=MOST_RECIPIENTS)
    bcc: list[str] = param(
        "Blind copy to",
        "Copie cachée à",
        default_factory=list,
        help_en="The others do not see these.",
        help_fr="Les autres ne les voient pas.",
        max_length=MOST_RECIPIENTS,
    )
    subject: str = param("Subject", "Objet", min_length=1, max_length=500)
    text: str = param("Text", "Texte", widget="textarea", min_length=1, max_length=MOST_TEXT)
    html: str = param(
        "The same as HTML",
        "La même chose en HTML",
        default="",
        widget="textarea",
        help_en="Mail programs that can show it prefer it to the text. What expressions put into it is shown as text:"
        " no input becomes a link. An expression alone may be all of the HTML.",
        help_fr="Les logiciels de messagerie qui savent l’afficher le préfèrent au texte. Ce que les expressions y"
        " mettent est montré comme texte : aucune entrée ne devient un lien. Une expression seule peut être tout le"
        " HTML.",
        markup=True,
        max_length=MOST_TEXT,
    )
    reply_to: str = param("Answers go to", "Réponses à", default="", max_length=320)

    @field_validator("to", "cc", "bcc")
    @classmethod
    def _are_addresses(cls, texts: list[str]) -> list[str]:
        return mailboxes(texts)

    @field_validator("reply_to")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        return mailbox(text) if text else ""

    @field_validator("subject")
    @classmethod
    def _is_one_line(cls, text: str) -> str:
        return one_line(text)

    @field_validator("text", "html")
    @classmethod
    def _can_be_sent(cls, text: str) -> str:
        if "\x00" in text:
            raise ValueError("it holds a sign that no message can hold")
        return text

    @model_validator(mode="after")
    def _not_too_many(self) -> MessageParams:
        if len(self.recipients) > MOST_RECIPIENTS:
            raise ValueError(f"to: a message goes to at most {MOST_RECIPIENTS} addresses")
        return self

    @property
    def recipients(self) -> list[str]:
        """Everybody who gets the message, once."""
        return list(dict.fromkeys([*self.to, *self.cc, *self.bcc]))


class MessageOutput(Output):
    """``message_id`` is how the message can be found at the server."""

    message_id: str
    recipients: list[str]


class SendMessage(WriteAction[MailClient, MessageParams]):
    """Acts every time. A plan signs in and asks whether each recipient is taken; it sends nothing."""

    id = "mail.message.send"
    title = Text("Send an e-mail", "Envoyer un e-mail")
    summary = Text(
        "Sends a message through the client's mail server.", "Envoie un message par le serveur de messagerie du client."
    )
    category = "mail"
    icon = "mail"
    risk = Risk.LOW
    reversible = False
    irreversible_reason = CANNOT
    permissions = ("mail.send",)
    Params = MessageParams
    Output = MessageOutput

    async def plan(self, client: MailClient, params: MessageParams, world: World) -> Planned:
        await client.check(params.recipients)
        change = Change(
            kind="create",
            target=f"mail.message:{','.join(params.to)}".lower(),
            label=params.subject,
            after=_shown(client, params),
            reversible=False,
            irreversible_reason=CANNOT,
        )
        return Planned(change, {"recipients": params.recipients})

    async def apply(self, client: MailClient, params: MessageParams, change: Change, attempt: Attempt) -> Applied:
        message_id = message_id_of(client, attempt)
        raw = message_of(client, params, message_id)
        await client.send(raw, message_id, params.recipients, attempt)
        return Applied(change, {"message_id": message_id, "recipients": params.recipients})

    async def recover(
        self, client: MailClient, params: MessageParams, change: Change, attempt: Attempt
    ) -> Applied | None:
        """Mail servers cannot be asked what they sent: a person looks for the Message-ID."""
        message_id = message_id_of(client, attempt)
        raise OutcomeUnknown(
            f"The answer to this message was lost. Whether it was sent can be seen at the mail server or the recipient,"
            f" by its Message-ID {message_id}.",
            details={"message_id": message_id},
        )


def message_id_of(client: MailClient, attempt: Attempt) -> str:
    """From the attempt's key: the same for every try, so that a message that comes twice is recognised as one."""
    return f"<{attempt.key}@{client.config.sender.partition('@')[2]}>"


def message_of(client: MailClient, params: MessageParams, message_id: str) -> bytes:
    """The message as it goes over the wire. Recipients of blind copies are not in it."""
    config = client.config
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address(config.sender_name, addr_spec=config.sender)
        message["To"] = [Address(addr_spec=one) for one in params.to]
        if params.cc:
            message["Cc"] = [Address(addr_spec=one) for one in params.cc]
        if params.reply_to:
            message["Reply-To"] = Address(addr_spec=params.reply_to)
        message["Subject"] = params.subject
        message["Date"] = format_datetime(client.now())
        message["Message-ID"] = message_id
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(params.text)
        if params.html:
            message.add_alternative(params.html, subtype="html")
        return message.as_bytes()
    except (ValueError, UnicodeError) as error:
        raise Rejected(f"No message can be made of this: {error}", code="invalid_message") from None


def _shown(client: MailClient, params: MessageParams) -> Json:
    """What is sent, as people approve it and as the seal holds it."""
    after: Json = {"from": client.config.sender, "to": params.to, "subject": params.subject}
    named = {"cc": params.cc, "bcc": params.bcc, "reply_to": params.reply_to}
    after |= {name: value for name, value in named.items() if value}
    texts = {"text": params.text, "html": params.html}
    return after | {name: _short(value) for name, value in texts.items() if value}


def _short(text: str) -> str | Json:
    raw = text.encode()
    return text if len(raw) <= SHOWN_TEXT else {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
