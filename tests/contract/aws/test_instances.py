"""What the machine steps do with what is there already, and what they take for their own."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import Applied, Done, Json, World
from connectors.errors import Conflict, NotFound, Rejected
from connectors.testing import Bench, new_attempt

RUN: Json = {"name": "ws-1", "image": "workstation-*", "instance_type": "t3.small", "tags": {"Owner": "Anna"}}
AWAKE: Json = {"name": "awake", "image": "workstation-1", "instance_type": "t3.micro"}
ASLEEP: Json = {**AWAKE, "name": "asleep"}


def machine(bench: Bench, name: str) -> Json:
    (found,) = [one for one in bench.sandbox.control.dump("sandbox")["instances"] if one["tags"]["Name"] == name]
    return found


async def plan_undo(bench: Bench, action_id: str, params: Json, applied: Applied, world: World | None = None) -> Any:
    done = Done(params=params, change=applied.change, output=applied.output)
    return done, await bench.action(action_id).plan_undo(bench.client, done, world)


async def undo(bench: Bench, action_id: str, params: Json, applied: Applied) -> Applied:
    action = bench.action(action_id)
    done, planned = await plan_undo(bench, action_id, params, applied)
    return await action.undo(bench.client, done, planned.change, new_attempt(action))


async def test_a_new_machine_carries_name_tags_and_the_attempt(bench: Bench) -> None:
    action = bench.action("aws.instance.run")
    planned, attempt = await bench.plan(action.id, RUN), new_attempt(action)
    assert planned.change.kind == "create"
    assert planned.change.target == "aws.instance:eu-west-3/ws-1"
    applied = await action.apply(bench.client, action.Params(**RUN), planned.change, attempt)
    made = machine(bench, "ws-1")
    assert made["tags"] == {"Name": "ws-1", "Owner": "Anna", "opsloom:attempt": attempt.key}
    assert applied.output["instance_id"] == made["instance_id"]
    assert applied.change.after["private_ip"] == made["private_ip"]


async def test_the_newest_image_of_a_name_is_taken(bench: Bench) -> None:
    rows = {row.label: row.id for row in (await bench.read("aws.image.list", {"publisher": "own"})).items}
    assert (await bench.plan("aws.instance.run", RUN)).change.after["image_id"] == rows["workstation-2"]
    older = {**RUN, "image": rows["workstation-1"]}
    assert (await bench.plan("aws.instance.run", older)).change.after["image_id"] == rows["workstation-1"]


async def test_own_images_come_before_publishers(bench: Bench) -> None:
    labels = [row.label for row in (await bench.read("aws.image.list")).items]
    assert labels[:3] == ["workstation-2", "graviton-1", "workstation-1"]
    assert any(label.startswith("al2023-ami-2023.") for label in labels)
    assert any(label.startswith("ubuntu/images/") for label in labels)


async def test_all_that_was_chosen_is_used(bench: Bench) -> None:
    subnet = (await bench.read("aws.subnet.list")).items[0].id
    group = next(row.id for row in (await bench.read("aws.security_group.list")).items if row.label == "engineers")
    params = {**RUN, "subnet_id": subnet, "security_group_ids": [group], "key_name": "engineers"}
    await bench.do("aws.instance.run", params)
    made = machine(bench, "ws-1")
    assert (made["subnet_id"], made["security_groups"], made["key_name"]) == (subnet, [group], "engineers")
    assert (await bench.plan("aws.instance.run", params)).change.kind == "none"


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("instance_type", "t9.huge", Rejected),
        ("subnet_id", "subnet-00000000000000000", NotFound),
        ("security_group_ids", ["sg-00000000000000000"], NotFound),
        ("key_name", "nobody", NotFound),
        ("image", "ami-00000000000000000", NotFound),
        ("tags", {"opsloom:attempt": "forged"}, Rejected),
        ("tags", {"Name": "another"}, Rejected),
    ],
)
async def test_what_aws_would_refuse_is_refused_by_the_plan(
    bench: Bench, field: str, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        await bench.plan("aws.instance.run", {**RUN, field: value})
    assert refused.value.field == field
    assert bench.sandbox.control.writes() == []


async def test_a_machine_that_is_there_is_used_as_it_is(bench: Bench) -> None:
    planned = await bench.plan("aws.instance.run", AWAKE)
    assert planned.change.kind == "none"
    assert planned.output["instance_id"] == machine(bench, "awake")["instance_id"]


async def test_what_lacks_on_it_is_added_and_taken_back(bench: Bench) -> None:
    before = bench.sandbox.control.dump()
    params = {**ASLEEP, "tags": {"Owner": "Anna"}}
    applied = await bench.do("aws.instance.run", params)
    assert applied.change.kind == "update"
    assert applied.change.before == {"tag:Owner": None, "state": "stopped"}
    assert applied.change.after == {"tag:Owner": "Anna", "state": "running"}
    assert machine(bench, "asleep")["tags"] == {"Name": "asleep", "Owner": "Anna"}
    assert (await bench.plan("aws.instance.run", params)).change.kind == "none"
    undone = await undo(bench, "aws.instance.run", params, applied)
    assert undone.change.after == {"tag:Owner": None, "state": "stopped"}
    assert bench.sandbox.control.dump() == before


async def test_a_tag_that_was_there_gets_its_value_back(bench: Bench) -> None:
    before = bench.sandbox.control.dump()
    params = {**AWAKE, "tags": {"Team": "Sales", "New": "1"}}
    applied = await bench.do("aws.instance.run", params)
    assert applied.change.before == {"tag:New": None, "tag:Team": "R&D"}
    await undo(bench, "aws.instance.run", params, applied)
    assert bench.sandbox.control.dump() == before


@pytest.mark.parametrize("lost", [1, 2])
async def test_half_of_an_update_is_finished_after_its_answer_was_lost(bench: Bench, lost: int) -> None:
    action = bench.action("aws.instance.run")
    params = {**ASLEEP, "tags": {"Owner": "Anna"}}
    planned, attempt = await bench.plan(action.id, params), new_attempt(action)
    bench.sandbox.control.fault("drop", writes=True, every=lost)
    with pytest.raises(Exception, match="no answer"):
        await action.apply(bench.client, action.Params(**params), planned.change, attempt)
    bench.sandbox.control.clear_faults()
    found = await action.recover(bench.client, action.Params(**params), planned.change, attempt)
    if found is None:
        found = await action.apply(bench.client, action.Params(**params), planned.change, attempt)
    assert found.change == planned.change
    assert (await bench.plan(action.id, params)).change.kind == "none"


async def test_another_machine_of_that_name_is_in_the_way(bench: Bench) -> None:
    with pytest.raises(Conflict) as refused:
        await bench.plan("aws.instance.run", {**AWAKE, "instance_type": "t3.small"})
    assert refused.value.code == "another_machine"
    assert refused.value.field == "instance_type"


async def test_a_name_that_two_machines_have_names_neither(bench: Bench) -> None:
    with pytest.raises(Conflict) as refused:
        await bench.plan("aws.instance.stop", {"instance": "twin"})
    assert refused.value.code == "ambiguous"
    assert len(refused.value.details["instances"]) == 2


async def test_wildcards_in_a_name_are_letters(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await bench.plan("aws.instance.stop", {"instance": "awak*"})
    assert (await bench.plan("aws.instance.run", {**RUN, "name": "a*"})).change.kind == "create"


async def test_only_what_carries_the_key_is_adopted(bench: Bench) -> None:
    """Somebody else made a machine of that name while our answer was lost: it is not taken for ours."""
    action = bench.action("aws.instance.run")
    planned = await bench.plan(action.id, RUN)
    await bench.do(action.id, RUN)
    found = await action.recover(bench.client, action.Params(**RUN), planned.change, new_attempt(action))
    assert found is None


async def test_a_machine_that_lost_our_tag_is_not_ended(bench: Bench) -> None:
    applied = await bench.do("aws.instance.run", RUN)
    link = bench.client._link
    link.call(
        "ec2",
        "delete_tags",
        {"Resources": [applied.output["instance_id"]], "Tags": [{"Key": "opsloom:attempt"}]},
        write=True,
    )
    with pytest.raises(Conflict) as refused:
        await plan_undo(bench, "aws.instance.run", RUN, applied)
    assert refused.value.code == "not_ours"


async def test_undo_shows_what_somebody_else_changed(bench: Bench) -> None:
    applied = await bench.do("aws.instance.run", RUN)
    await bench.do("aws.instance.stop", {"instance": "ws-1"})
    _, planned = await plan_undo(bench, "aws.instance.run", RUN, applied)
    assert planned.drift == {"state": {"expected": "running", "found": "stopped"}}
    assert planned.change.kind == "delete"
    assert not planned.change.reversible


async def test_an_undoʼs_plan_sees_what_the_same_undo_takes_back_before(bench: Bench) -> None:
    """The stop is taken back first, so that the machine runs as its making left it: that is no drift."""
    made = await bench.do("aws.instance.run", RUN)
    stop = {"instance": "ws-1"}
    stopped = await bench.do("aws.instance.stop", stop)
    world = World()
    _, start = await plan_undo(bench, "aws.instance.stop", stop, stopped, world)
    world.record(start.change)
    _, end = await plan_undo(bench, "aws.instance.run", RUN, made, world)
    assert (start.drift, end.drift) == (None, None)
    assert end.change.before["state"] == "running"


async def test_steps_that_add_tags_one_after_the_other_do_not_hide_each_other(bench: Bench) -> None:
    world = World()
    first = await bench.plan("aws.instance.run", {**AWAKE, "tags": {"New": "1"}}, world)
    world.record(first.change)
    both = await bench.plan("aws.instance.run", {**AWAKE, "tags": {"New": "1", "Team": "R&D"}}, world)
    assert both.change.kind == "none"


async def test_a_tag_that_somebody_else_changed_is_drift(bench: Bench) -> None:
    params = {**AWAKE, "tags": {"Team": "Sales", "New": "1"}}
    applied = await bench.do("aws.instance.run", params)
    await bench.do("aws.instance.run", {**AWAKE, "tags": {"New": "2"}})
    _, planned = await plan_undo(bench, "aws.instance.run", params, applied)
    assert planned.drift == {"tag:New": {"expected": "1", "found": "2"}}
    assert planned.change.after == {"tag:New": None, "tag:Team": "R&D"}


async def test_undoing_what_is_gone_is_nothing_left_to_do(bench: Bench) -> None:
    applied = await bench.do("aws.instance.run", RUN)
    await bench.do("aws.instance.terminate", {"instance": "ws-1"})
    _, planned = await plan_undo(bench, "aws.instance.run", RUN, applied)
    assert planned.change.kind == "none"


async def test_a_stop_cannot_be_undone_on_a_machine_that_is_gone(bench: Bench) -> None:
    applied = await bench.do("aws.instance.stop", {"instance": "awake"})
    await bench.do("aws.instance.terminate", {"instance": "awake"})
    with pytest.raises(NotFound):
        await plan_undo(bench, "aws.instance.stop", {"instance": "awake"}, applied)


async def test_steps_on_a_machine_that_an_earlier_step_will_make(bench: Bench) -> None:
    world = World()
    made = await bench.plan("aws.instance.run", RUN, world)
    world.record(made.change)
    by_name = {"instance": made.output["name"]}
    stopped = await bench.plan("aws.instance.stop", by_name, world)
    assert (stopped.change.before, stopped.change.after) == ({"state": "running"}, {"state": "stopped"})
    world.record(stopped.change)
    started = await bench.plan("aws.instance.start", by_name, world)
    assert started.change.before == {"state": "stopped"}
    ended = await bench.plan("aws.instance.terminate", by_name, world)
    assert ended.change.kind == "delete"
    world.record(ended.change)
    assert (await bench.plan("aws.instance.terminate", by_name, world)).change.kind == "none"
    assert (await bench.plan("aws.instance.run", RUN, world)).change.kind == "create"
    with pytest.raises(NotFound):
        await bench.plan("aws.instance.start", by_name, world)


async def test_ended_is_ended_by_name_and_by_id(bench: Bench) -> None:
    applied = await bench.do("aws.instance.terminate", {"instance": "awake"})
    for named in ("awake", applied.output["instance_id"]):
        assert (await bench.plan("aws.instance.terminate", {"instance": named})).change.kind == "none"
    rows = (await bench.read("aws.instance.list")).items
    assert "awake" not in [row.name for row in rows]
    assert (await bench.plan("aws.instance.run", AWAKE)).change.kind == "create"


async def test_lists_are_narrowed(bench: Bench) -> None:
    async def names(**params: object) -> list[str]:
        return [row.name for row in (await bench.read("aws.instance.list", params)).items]

    assert await names() == ["asleep", "awake", "guarded", "twin", "twin"]
    assert await names(state="stopped") == ["asleep"]
    assert await names(name_contains="WA") == ["awake"]
    assert await names(tags={"Team": "R&D"}) == ["awake"]


async def test_sizes_come_smallest_first_and_in_usual_families(bench: Bench) -> None:
    rows = (await bench.read("aws.instance_type.list")).items
    assert [int(row.detail.split()[0]) for row in rows] == sorted(int(row.detail.split()[0]) for row in rows)
    assert {row.id.partition(".")[0] for row in rows} <= {
        *("t3", "t3a", "t4g", "m6i", "m7i", "m7g", "c6i", "c7i", "r6i", "r7i")
    }
    assert [row.id for row in (await bench.read("aws.instance_type.list", {"families": ["t3"]})).items][:2] == [
        "t3.nano",
        "t3.micro",
    ]
