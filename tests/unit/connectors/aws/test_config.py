"""What a connection to AWS may hold."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from connectors.aws.config import AwsConfig
from connectors.aws.connector import Aws

GOOD = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s" * 40, "region": "eu-west-3"}
ROLE = "arn:aws:iam::123456789012:role/Opsloom"


@pytest.mark.parametrize(
    ("given", "account"),
    [
        ({}, None),
        ({"account_id": "123456789012"}, "123456789012"),
        ({"role_arn": ROLE}, "123456789012"),
        ({"role_arn": ROLE, "external_id": "abc", "account_id": "123456789012"}, "123456789012"),
        ({"region": "us-gov-west-1", "role_arn": "arn:aws-us-gov:iam::123456789012:role/a/b"}, "123456789012"),
    ],
)
def test_what_is_good(given: dict[str, str], account: str | None) -> None:
    assert AwsConfig(**{**GOOD, **given}).expected_account == account


@pytest.mark.parametrize(
    "given",
    [
        {"access_key_id": "nonsense"},
        {"access_key_id": ""},
        {"secret_access_key": "short"},
        {"region": "eu-west-3.evil.example/"},
        {"region": "evil.example"},
        {"region": ""},
        {"role_arn": "arn:aws:iam::12:role/x"},
        {"role_arn": "arn:aws:iam::123456789012:user/x"},
        {"external_id": "abc"},
        {"account_id": "12"},
        {"account_id": "999999999999", "role_arn": ROLE},
        {"endpoint": "https://elsewhere.example"},
    ],
)
def test_what_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        AwsConfig(**{**GOOD, **given})


def test_the_secret_goes_to_the_vault_and_the_rest_does_not() -> None:
    assert Aws().secret_fields() == {"secret_access_key"}
    assert "sssss" not in repr(AwsConfig(**GOOD))
