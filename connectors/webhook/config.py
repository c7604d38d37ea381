"""What a connection to a receiver of webhooks holds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from connectors.base import param, rate_param, refused
from connectors.errors import Rejected
from connectors.web import url_of


class WebhookConfig(BaseModel):
    """Where messages go, and the secret that signs them."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    address: str = param(
        "Receiver's address",
        "Adresse du destinataire",
        help_en="With https://. Messages are posted there.",
        help_fr="Avec https://. Les messages y sont envoyés par POST.",
        widget="text",
        placeholder="https://hooks.example.com/opsloom",
        min_length=1,
        max_length=2000,
    )
    secret: SecretStr = param(
        "Shared secret",
        "Secret partagé",
        help_en="At least 24 signs. The receiver checks the signature with it.",
        help_fr="Au moins 24 caractères. Le destinataire vérifie la signature avec lui.",
        min_length=24,
        max_length=1000,
    )
    deduplicates: bool = param(
        "Drops what it has seen",
        "Ignore ce qu’il a déjà vu",
        default=False,
        help_en="The receiver takes each message id once. If its answer is lost, the message is then sent again by"
        " itself; otherwise a person is asked.",
        help_fr="Le destinataire ne traite qu’une fois chaque identifiant. Si sa réponse se perd, le message est"
        " renvoyé tout seul ; sinon, on demande à quelqu’un.",
    )
    operations_per_minute: int | None = rate_param()

    @field_validator("address")
    @classmethod
    def _address_is_one(cls, address: str) -> str:
        try:
            url = url_of(address, "address")
        except Rejected as error:
            raise refused(error.message, code="invalid_address") from None
        if url.scheme != "https":
            raise refused("Messages are sent over https:// only.", code="https_only")
        return str(url)
