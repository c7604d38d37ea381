"""What a connection to a mail server holds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationInfo, field_validator

from connectors.base import Text, param, rate_param, refused
from connectors.errors import Rejected
from connectors.mail.addresses import mailbox, one_line
from connectors.net import host_of

SECURITY = {
    "starttls": Text("STARTTLS (usually port 587)", "STARTTLS (en général port 587)"),
    "tls": Text("TLS from the start (usually port 465)", "TLS d’emblée (en général port 465)"),
    "none": Text("None, without signing in", "Aucun, sans authentification"),
}


class MailConfig(BaseModel):
    """A server that takes mail for sending, and who sends."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    host: str = param("Server", "Serveur", placeholder="smtp.example.com", min_length=1, max_length=253)
    port: int = param("Port", "Port", default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = param(
        "Encryption", "Chiffrement", default="starttls", options=SECURITY
    )
    username: str = param(
        "User name",
        "Nom d’utilisateur",
        default="",
        help_en="Left empty where the server takes mail from us without signing in.",
        help_fr="Vide si le serveur accepte notre courrier sans authentification.",
        max_length=320,
    )
    password: SecretStr = param(
        "Password", "Mot de passe", default=SecretStr(""), validate_default=True, max_length=1000
    )
    sender: str = param(
        "Sender's address",
        "Adresse de l’expéditeur",
        help_en="Messages come from this address.",
        help_fr="Les messages partent de cette adresse.",
        placeholder="it@example.com",
        max_length=320,
    )
    sender_name: str = param(
        "Sender's name",
        "Nom de l’expéditeur",
        default="",
        placeholder="IT service",
        max_length=200,
    )
    operations_per_minute: int | None = rate_param()

    @field_validator("host")
    @classmethod
    def _host_is_one(cls, host: str) -> str:
        try:
            return host_of(host)
        except Rejected as error:
            raise refused(error.message, code="host_invalid") from None

    @field_validator("username")
    @classmethod
    def _username_needs_encryption(cls, username: str, info: ValidationInfo) -> str:
        if username and info.data.get("security") == "none":
            raise refused("A password is not sent without encryption.", code="password_unencrypted")
        return _one_line(username)

    @field_validator("password")
    @classmethod
    def _password_goes_with_a_username(cls, password: SecretStr, info: ValidationInfo) -> SecretStr:
        if "username" in info.data and bool(info.data["username"]) != bool(password.get_secret_value()):
            raise refused("User name and password go together.", code="password_alone")
        return password

    @field_validator("sender")
    @classmethod
    def _sender_is_one(cls, sender: str) -> str:
        try:
            return mailbox(sender)
        except ValueError as error:
            raise refused(str(error), code="mail_address_invalid") from None

    @field_validator("sender_name")
    @classmethod
    def _name_is_one_line(cls, text: str) -> str:
        return _one_line(text)


def _one_line(text: str) -> str:
    try:
        return one_line(text)
    except ValueError as error:
        raise refused(str(error), code="not_one_line") from None
