"""Differences between machines as pure functions: what lacks, what is left to do, how to take a change back."""

from __future__ import annotations

from connectors.aws import ec2
from connectors.base import Change, Done, Json, Text, UndoPlan
from connectors.errors import Conflict, OutcomeUnknown

GONE_FOR_GOOD = Text(
    "A deleted machine and its disks do not come back.", "Une machine supprimée et ses disques ne reviennent pas."
)


def lacking(target: str, label: str, present: Json, wanted: Json) -> Change:
    """What lacks on a machine that is there: tags, or that it runs. What else it has is left alone."""
    spoken_of = [name for name in wanted if name == "state" or name.startswith(ec2.TAG)]
    return _update(target, label, present, {name: wanted[name] for name in spoken_of})


def _update(target: str, label: str, present: Json, wanted: Json) -> Change:
    """The fields of ``wanted`` that ``present`` has otherwise; None stands for a tag that is not there."""
    after = {name: value for name, value in wanted.items() if present.get(name) != value}
    if not after:
        return Change(kind="none", target=target, label=label)
    before = {name: present.get(name) for name in after}
    return Change(kind="update", target=target, label=label, before=before, after=after)


def is_rest(left: Change, change: Change) -> bool:
    """Whether what is left to do is nothing, all of ``change``, or a part of it: repeating ``change`` is then safe."""
    if not left.writes or left == change:
        return True
    whole, rest = change.after or {}, left.after or {}
    return left.kind == change.kind == "update" and all(whole.get(name) == rest[name] for name in rest)


def neither(change: Change, left: Change) -> OutcomeUnknown:
    """The error of a lost attempt after which the machine is neither as before nor as planned."""
    return OutcomeUnknown(
        f"The answer to this step was lost and {change.target} is now neither as before nor as planned.",
        details={"found": left.before},
    )


def nothing(done: Done) -> Change:
    """Nothing is left to take back."""
    return Change(kind="none", target=done.change.target, label=done.change.label)


def back(done: Done, present: Json) -> UndoPlan:
    """Give back the fields that an update changed."""
    was, became = done.change.before or {}, done.change.after or {}
    change = _update(done.change.target, done.change.label, present, {name: was.get(name) for name in became})
    drift = _drift(became, present, only=change.after or {})
    return UndoPlan(change, drift or None)


def end(done: Done, instance: Json, present: Json) -> UndoPlan:
    """Delete the machine that a step made. Raises ``Conflict`` where it no longer proves to be ours."""
    if ec2.attempt_of(instance) is None:
        message = f"{instance['InstanceId']} no longer carries the tag {ec2.ATTEMPT_TAG}, so it is not deleted."
        raise Conflict(message, code="not_ours", details={"instance_id": instance["InstanceId"]})
    made = {name: value for name, value in (done.change.after or {}).items() if name not in done.change.volatile}
    change = Change(
        kind="delete",
        target=done.change.target,
        label=done.change.label,
        before={**{name: present.get(name) for name in made}, "instance_id": instance["InstanceId"]},
        reversible=False,
        irreversible_reason=GONE_FOR_GOOD,
    )
    return UndoPlan(change, _drift(made, present, only=made) or None)


def _drift(expected: Json, present: Json, *, only: Json) -> Json:
    """The fields of ``only`` that are neither as the step left them."""
    return {
        name: {"expected": expected[name], "found": present.get(name)}
        for name in only
        if present.get(name) != expected[name]
    }
