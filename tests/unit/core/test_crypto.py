"""Ciphers are bound to their client and path; passwords and tokens are stored as hashes only."""

from __future__ import annotations

import secrets

import pytest

from app.core import crypto
from app.core.ids import new_id

KEY = secrets.token_bytes(32)


def test_what_was_encrypted_comes_back() -> None:
    bound = crypto.associated_data(new_id(), "tenant/x/platforms/m365/y")
    assert crypto.decrypt(KEY, crypto.encrypt(KEY, "été".encode(), bound), bound).decode() == "été"


@pytest.mark.parametrize("change", ["client", "path", "key", "byte", "cut"])
def test_a_ciphertext_opens_only_where_it_belongs(change: str) -> None:
    client, path = new_id(), "platforms/m365/1"
    sealed = crypto.encrypt(KEY, b"canary", crypto.associated_data(client, path))
    key, bound = KEY, crypto.associated_data(client, path)
    if change == "client":
        bound = crypto.associated_data(new_id(), path)
    elif change == "path":
        bound = crypto.associated_data(client, "platforms/m365/2")
    elif change == "key":
        key = secrets.token_bytes(32)
    elif change == "byte":
        sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    else:
        sealed = sealed[:8]
    with pytest.raises(crypto.Undecipherable):
        crypto.decrypt(key, sealed, bound)


def test_the_same_text_never_encrypts_to_the_same_bytes() -> None:
    assert crypto.encrypt(KEY, b"a", b"") != crypto.encrypt(KEY, b"a", b"")


def test_passwords_are_hashed_with_argon2id() -> None:
    stored = crypto.hash_password("pâssword d'été")
    assert stored.startswith("$argon2id$")
    assert "pâssword" not in stored
    assert crypto.verify_password(stored, "pâssword d'été")
    assert not crypto.verify_password(stored, "password d'ete")
    assert not crypto.verify_password(None, "")
    assert not crypto.verify_password("not a hash", "x")
    assert not crypto.needs_rehash(stored)


def test_a_token_is_long_random_and_stored_as_its_hash() -> None:
    token = crypto.new_token("ols_")
    assert token.startswith("ols_")
    assert len(token) >= 43
    assert token != crypto.new_token("ols_")
    assert len(crypto.token_hash(token)) == 32
    assert token.encode() not in crypto.token_hash(token)


def test_recovery_codes_may_be_typed_as_people_type() -> None:
    account = new_id()
    code = crypto.new_recovery_codes(1)[0]
    assert crypto.recovery_hash(account, code) == crypto.recovery_hash(account, f" {code.upper().replace('-', ' ')} ")
    assert crypto.recovery_hash(account, code) != crypto.recovery_hash(new_id(), code)
    assert len(set(crypto.new_recovery_codes(10))) == 10
