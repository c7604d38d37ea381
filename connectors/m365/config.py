"""What a connection to Microsoft 365 holds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr

from connectors.base import param, rate_param

GUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
# The tenant becomes part of the sign-in address, so nothing but an id or a domain may stand there.
TENANT = rf"({GUID})|(^([A-Za-z0-9](-?[A-Za-z0-9])*\.)+[A-Za-z]{{2,63}}$)"


class M365Config(BaseModel):
    """An application registered in Entra ID, and the tenant in which it has consent.

    The MSP may use one application of its own, with consent in each client's tenant, or one registered by the client.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    tenant_id: str = param(
        "Tenant",
        "Tenant",
        help_en="The directory's id, or one of its verified domains.",
        help_fr="L’identifiant de l’annuaire, ou l’un de ses domaines vérifiés.",
        placeholder="contoso.onmicrosoft.com",
        pattern=TENANT,
        max_length=253,
    )
    client_id: str = param(
        "Application (client) ID",
        "ID d’application (client)",
        help_en="Of the app registration that has consent in this tenant.",
        help_fr="Celui de l’inscription d’application qui a le consentement de ce tenant.",
        pattern=GUID,
    )
    client_secret: SecretStr = param(
        "Client secret",
        "Secret client",
        help_en="The secret's value, not its id.",
        help_fr="La valeur du secret, pas son identifiant.",
        min_length=8,
    )
    operations_per_minute: int | None = rate_param()
