"""The form that starts a wave: which clients it offers, and what it sends."""

from __future__ import annotations

from app.core.ids import new_id
from app.pages.waves import _asked, _over
from app.services.clients import ClientView


def client(slug: str, *tags: str) -> ClientView:
    return ClientView(
        id=new_id(), slug=slug, name=slug.title(), colour="teal", tags=list(tags), is_msp=False, role="owner"
    )


def test_clients_are_offered_by_name_and_by_tag():
    fields = _over([client("bob", "monthly"), client("ada", "monthly", "eu")])
    assert list(fields) == ["to", "tags", "canary"]
    assert fields["to"]["items"]["enum"] == ["bob", "ada"]
    assert fields["tags"]["items"]["enum"] == ["eu", "monthly"]
    assert set(fields["tags"]["x-title"]) == {"en", "fr"}


def test_where_nobody_has_a_tag_none_is_offered():
    assert list(_over([client("ada")])) == ["to", "canary"]


def test_what_is_chosen_is_what_is_asked_for():
    asked = _asked({"workflow": "W", "tags": ["monthly"], "canary": ["ada"], "pause": "manual", "percents": "10; 50"})
    assert (asked["to"], asked["tags"], asked["canary"]) == ([], ["monthly"], ["ada"])
    assert (asked["pause_s"], asked["percents"]) == ("manual", [10.0, 50.0])
