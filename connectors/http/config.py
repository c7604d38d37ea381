"""What a connection to a web API holds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationInfo, field_validator

from connectors.base import Text, param, rate_param, refused
from connectors.errors import Rejected
from connectors.http import headers as header_rules
from connectors.http.hosts import Allowed, parse
from connectors.web import url_of

SIGN_IN = {
    "none": Text("None", "Aucune"),
    "bearer": Text("Token (Bearer)", "Jeton (Bearer)"),
    "basic": Text("User name and password", "Nom d’utilisateur et mot de passe"),
    "header": Text("A header of its own", "Un en-tête particulier"),
}


class HttpConfig(BaseModel):
    """The hosts that steps may ask, and how to sign in there."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    hosts: list[str] = param(
        "Allowed hosts",
        "Hôtes autorisés",
        help_en="Steps reach these hosts and no other: api.example.com, *.example.com, or with a port. HTTPS unless an"
        " entry begins with http://. The credential is sent to all of them.",
        help_fr="Les étapes atteignent ces hôtes et aucun autre : api.exemple.fr, *.exemple.fr, ou avec un port. En"
        " HTTPS sauf si l’entrée commence par http://. L’authentification est envoyée à tous.",
        placeholder="api.example.com",
        min_length=1,
        max_length=50,
    )
    sign_in: Literal["none", "bearer", "basic", "header"] = param(
        "Way to sign in", "Authentification", default="none", options=SIGN_IN
    )
    username: str = param(
        "User name",
        "Nom d’utilisateur",
        default="",
        validate_default=True,
        help_en="With user name and password only.",
        help_fr="Seulement avec nom d’utilisateur et mot de passe.",
        max_length=200,
    )
    header: str = param(
        "Header",
        "En-tête",
        default="",
        validate_default=True,
        help_en="Name of the header that holds the secret, such as X-Api-Key.",
        help_fr="Nom de l’en-tête qui porte le secret, par exemple X-Api-Key.",
        max_length=100,
    )
    secret: SecretStr = param(
        "Token, password or key",
        "Jeton, mot de passe ou clé",
        default=SecretStr(""),
        validate_default=True,
        max_length=4000,
    )
    headers: dict[str, str] = param(
        "Headers of every request",
        "En-têtes de chaque requête",
        default_factory=dict,
        widget="key_values",
        help_en="Nothing secret: these are shown.",
        help_fr="Rien de secret : ils sont affichés.",
    )
    read_only: bool = param(
        "Reads only",
        "Lecture seule",
        default=False,
        help_en="Refuses every step that sends something through this connection.",
        help_fr="Refuse toute étape qui envoie quelque chose par cette connexion.",
    )
    probe: str = param(
        "Address to try",
        "Adresse à essayer",
        default="",
        validate_default=True,
        help_en="Asked when the connection is tested; it answers only to whoever is signed in. Left empty, the first"
        " host's front page is asked.",
        help_fr="Demandée au test de la connexion ; elle ne répond qu’à qui est authentifié. Si elle est vide, c’est la"
        " page d’accueil du premier hôte.",
        widget="text",
        placeholder="https://api.example.com/v1/me",
        max_length=2000,
    )
    operations_per_minute: int | None = rate_param()

    @field_validator("hosts")
    @classmethod
    def _hosts_are_hosts(cls, hosts: list[str]) -> list[str]:
        for text in hosts:
            try:
                parse(text)
            except ValueError as error:
                raise refused(str(error), code="host_invalid") from None
        return hosts

    @field_validator("username")
    @classmethod
    def _username_fits(cls, username: str, info: ValidationInfo) -> str:
        if info.data.get("sign_in") == "basic" and (not username or ":" in username):
            raise refused("Needed to sign in, and without a colon.", code="username_needed")
        return username

    @field_validator("header")
    @classmethod
    def _header_may_hold_the_secret(cls, header: str, info: ValidationInfo) -> str:
        if info.data.get("sign_in") == "header":
            _headers({header: ""})
        return header

    @field_validator("secret")
    @classmethod
    def _secret_can_be_sent(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        text, way = secret.get_secret_value(), info.data.get("sign_in")
        if way != "none" and not text:
            raise refused("This way to sign in needs one.", code="secret_needed")
        if not text.isprintable() or (way != "basic" and not text.isascii()):
            raise refused("It has signs that cannot be sent in a header.", code="secret_unsendable")
        return secret

    @field_validator("headers")
    @classmethod
    def _headers_may_be_set(cls, headers: dict[str, str]) -> dict[str, str]:
        return _headers(headers)

    @field_validator("probe")
    @classmethod
    def _probe_is_allowed(cls, probe: str, info: ValidationInfo) -> str:
        allowed = [parse(text) for text in info.data.get("hosts", ())]
        if not probe:
            if allowed and all(entry.below for entry in allowed):
                raise refused("Needed where no host is named in full.", code="probe_needed")
            return probe
        try:
            url = url_of(probe, "probe")
        except Rejected as error:
            raise refused(error.message, code="invalid_address") from None
        if allowed and not any(entry.admits(url) for entry in allowed):
            raise refused("Its host is not among the allowed ones.", code="host_not_allowed")
        return probe

    @property
    def allowed(self) -> tuple[Allowed, ...]:
        """The list, read."""
        return tuple(parse(text) for text in self.hosts)

    @property
    def probe_address(self) -> str:
        """What a test of the connection asks."""
        return self.probe or next(entry.origin for entry in self.allowed if not entry.below) + "/"


def _headers(headers: dict[str, str]) -> dict[str, str]:
    try:
        return header_rules.checked(headers)
    except ValueError as error:
        raise refused(str(error), code="header_invalid") from None
