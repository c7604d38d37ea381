"""What a connection to AWS holds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from connectors.base import param, rate_param

# The region becomes part of the host name that requests are sent to, so nothing but a region may stand there.
REGION = r"^[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}$"
ROLE_ARN = r"^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}$"


class AwsConfig(BaseModel):
    """Access keys, and for a client's account the role that the MSP's keys assume there."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    access_key_id: str = param(
        "Access key ID",
        "ID de la clé d’accès",
        help_en="Of an IAM user; with a role below, of the MSP's own user.",
        help_fr="D’un utilisateur IAM ; avec un rôle ci-dessous, de l’utilisateur du prestataire.",
        placeholder="AKIA…",
        pattern=r"^A[A-Z]{3}[A-Z0-9]{12,124}$",
    )
    secret_access_key: SecretStr = param("Secret access key", "Clé d’accès secrète", min_length=16)
    region: str = param(
        "Region",
        "Région",
        help_en="Where the client's machines are.",
        help_fr="Où se trouvent les machines du client.",
        placeholder="eu-west-3",
        pattern=REGION,
    )
    role_arn: str | None = param(
        "Role in the client's account",
        "Rôle dans le compte du client",
        default=None,
        help_en="ARN of the role that the access key assumes. Leave it empty where the key is the client's own.",
        help_fr="ARN du rôle que prend la clé d’accès. À laisser vide si la clé est celle du client.",
        placeholder="arn:aws:iam::123456789012:role/Opsloom",
        pattern=ROLE_ARN,
    )
    external_id: str | None = param(
        "External ID",
        "ID externe",
        default=None,
        help_en="What the role's trust policy asks for, so that nobody else can have us use it.",
        help_fr="Ce que demande la relation d’approbation du rôle, pour que personne d’autre ne puisse s’en servir.",
        pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$",
    )
    account_id: str | None = param(
        "Account number",
        "Numéro de compte",
        default=None,
        help_en="Twelve digits. Keys that lead to another account are refused.",
        help_fr="Douze chiffres. Une clé qui mène à un autre compte est refusée.",
        pattern=r"^[0-9]{12}$",
    )
    operations_per_minute: int | None = rate_param()

    @model_validator(mode="after")
    def _role_in_the_named_account(self) -> AwsConfig:
        if self.role_arn and self.account_id and self.expected_account != self.account_id:
            raise ValueError("account_id: the role belongs to another account")
        if self.external_id and not self.role_arn:
            raise ValueError("external_id: it goes with a role")
        return self

    @property
    def expected_account(self) -> str | None:
        """The account that the credentials must lead to, where the connection says so."""
        return self.role_arn.split(":")[4] if self.role_arn else self.account_id
