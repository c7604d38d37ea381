"""The table of roles hangs together, and who draws cannot approve."""

from __future__ import annotations

import pytest

from app.services.permissions import LOWEST_ROLE, PERMISSIONS, ROLE_NAMES, ROLES, permissions_of


def test_every_role_has_a_name_and_known_permissions() -> None:
    assert ROLES.keys() == ROLE_NAMES.keys()
    assert frozenset().union(*ROLES.values()) == frozenset(PERMISSIONS)


@pytest.mark.parametrize("text", [*PERMISSIONS.values(), *ROLE_NAMES.values()], ids=lambda text: text.en)
def test_every_text_is_in_both_languages(text) -> None:
    assert text.en
    assert text.fr


def test_an_engineer_cannot_approve_and_an_approver_cannot_change_anything() -> None:
    assert "approval.decide" not in permissions_of("engineer")
    assert not {name for name in permissions_of("approver") if name.endswith((".write", ".publish", ".start", ".undo"))}


def test_the_lowest_role_only_knows_its_client() -> None:
    assert permissions_of(LOWEST_ROLE) == {"client.read"}
    assert permissions_of("nobody") == frozenset()
