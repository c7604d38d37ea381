"""Names and passwords: what is the same, what is refused, and how long a guesser waits."""

from __future__ import annotations

import pytest

from app.core.errors import Invalid
from app.services.auth.attempts import FIRST_WAIT_S, FREE_ATTEMPTS, LONGEST_WAIT_S, wait_after
from app.services.auth.names import checked_email, checked_password, email_key, password_form


@pytest.mark.parametrize(
    "typed", ["Anna@Example.com", " anna@example.com ", "ａｎｎａ@example.com", "ANNA@EXAMPLE.COM"]
)
def test_addresses_that_only_look_different_are_one(typed: str) -> None:
    assert email_key(typed) == "anna@example.com"


def test_accents_are_kept_apart_and_composed_alike() -> None:
    assert email_key("e\u0301lodie@x.example") == email_key("élodie@x.example") != email_key("elodie@x.example")
    assert email_key("straße@x.example") == email_key("STRASSE@x.example")


NO_ADDRESSES = [
    "", "x", "a@b", "a b@c.example", "a@@b.example", "a\n@b.example", "@b.example", "a@.example", "a@b..example",
    "x" * 65 + "@b.example", "a\u200b@b.example",
]  # fmt: skip


@pytest.mark.parametrize("typed", NO_ADDRESSES)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(Invalid) as error:
        checked_email(typed)
    assert error.value.problems[0].field == "email"


def test_spaces_around_an_address_are_not_part_of_it() -> None:
    assert checked_email(" a@b.example\n") == "a@b.example"


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "anna.long.name@example.com", "anna.long.name",
                                      "x" * 300])  # fmt: skip
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as error:
        checked_password(password, email="anna.long.name@example.com")
    assert error.value.problems[0].field == "password"
    assert password not in error.value.message


def test_a_password_is_the_same_from_every_keyboard() -> None:
    assert password_form("e\u0301te\u0301") == password_form("été")
    assert checked_password("une phrase de passe", email="a@b.example") == "une phrase de passe"


def test_a_guesser_waits_longer_each_time() -> None:
    waits = [wait_after(count) for count in range(1, FREE_ATTEMPTS + 10)]
    assert waits[:FREE_ATTEMPTS] == [0.0] * FREE_ATTEMPTS
    assert waits[FREE_ATTEMPTS : FREE_ATTEMPTS + 3] == [FIRST_WAIT_S, FIRST_WAIT_S * 2, FIRST_WAIT_S * 4]
    assert waits[-1] == LONGEST_WAIT_S == wait_after(10_000)
