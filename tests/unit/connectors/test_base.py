"""What a connector is made of, without any platform."""

from __future__ import annotations

import string
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from connectors.base import (
    Applied,
    Attempt,
    Change,
    Connector,
    NoOutput,
    Params,
    Planned,
    World,
    WriteAction,
    choices,
    generate_password,
    param,
)
from connectors.errors import OutcomeUnknown
from connectors.testing import new_attempt


def change(kind: str, after: dict[str, Any] | None = None, target: str = "p.thing:a") -> Change:
    return Change(kind=kind, target=target, after=after)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "present", "expected"),
    [
        ([], None, None),
        ([], {"a": 1}, {"a": 1}),
        ([change("create", {"a": 1})], None, {"a": 1}),
        ([change("update", {"b": 2})], {"a": 1}, {"a": 1, "b": 2}),
        ([change("update", {"a": 2}), change("update", {"a": 3})], {"a": 1}, {"a": 3}),
        ([change("delete")], {"a": 1}, None),
        ([change("delete"), change("create", {"c": 1})], {"a": 1}, {"c": 1}),
        ([change("none", {"a": 9})], {"a": 1}, {"a": 1}),
        ([change("update", {"a": 2}, "p.thing:b")], {"a": 1}, {"a": 1}),
    ],
)
def test_a_world_lays_planned_changes_over_the_present(
    changes: list[Change], present: dict[str, Any] | None, expected: dict[str, Any] | None
) -> None:
    world = World()
    for one in changes:
        world.record(one)
    assert world.over("p.thing:a", present) == expected


def test_a_world_knows_what_will_be_created_and_counts_by_prefix() -> None:
    world = World()
    world.record(change("create", {}, "p.seat:a"))
    world.record(change("update", {}, "p.seat:b"))
    world.record(change("none", {}, "p.seat:c"))
    assert world.creates("p.seat:a")
    assert not world.creates("p.seat:b")
    assert [one.target for one in world.planned("p.seat:")] == ["p.seat:a", "p.seat:b"]


def test_passwords_have_every_class_and_no_look_alikes() -> None:
    made = {generate_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert len(password) == 20
        for letters in (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_!%*+=?"):
            assert set(password) & set(letters)
        assert not set(password) & set("lIO01")


def test_a_parameter_carries_words_and_hints() -> None:
    class Sample(Params):
        machine: str = param("Machine", "Machine à faire", live=choices("p.m.list", value="id", label="name"))

    field = Sample.model_json_schema()["properties"]["machine"]
    assert field["x-title"] == {"en": "Machine", "fr": "Machine à faire"}
    assert field["x-choices"] == {"action": "p.m.list", "value": "id", "label": "name", "detail": None, "many": False}
    with pytest.raises(ValidationError, match="Extra inputs"):
        Sample(machine="a", colour="red")  # type: ignore[call-arg]


def test_secret_fields_are_those_marked_secret() -> None:
    class Login(BaseModel):
        name: str
        key: SecretStr

    class Some(Connector):
        Config = Login

        def open(self, *_: Any) -> Any:
            raise AssertionError

        async def test(self, _: Any) -> Any:
            raise AssertionError

    assert Some().secret_fields() == {"key"}


class Lamp(WriteAction[Any, Any]):
    """A lamp that is on or off; the client is a dict."""

    Params, Output, secrets = Params, NoOutput, ()

    async def plan(self, client: Any, params: Any, world: World) -> Planned:
        kind = "none" if client["on"] is True else "update"
        return Planned(Change(kind=kind, target="p.lamp:a", before={"on": client["on"]}, after={"on": True}))  # type: ignore[arg-type]

    async def apply(self, client: Any, params: Any, change: Change, attempt: Attempt) -> Applied:
        client["on"] = True
        return Applied(change)


@pytest.mark.parametrize(("now", "expected"), [(True, "adopted"), (False, "nothing"), ("broken", "unknown")])
async def test_the_usual_recovery_compares_the_present_with_the_plan(now: object, expected: str) -> None:
    lamp, client = Lamp(), {"on": False}
    planned = (await lamp.plan(client, Params(), World())).change
    client["on"] = now  # type: ignore[assignment]
    if expected == "unknown":
        with pytest.raises(OutcomeUnknown):
            await lamp.recover(client, Params(), planned, new_attempt(lamp))
        return
    found = await lamp.recover(client, Params(), planned, new_attempt(lamp))
    assert (found is not None and found.adopted) == (expected == "adopted")
