"""Faults and the log that simulators share."""

from __future__ import annotations

import threading

import pytest

from connectors.simulation import Faults, Journal

RUN = {"method": "POST", "path": "/ec2/RunInstances", "tenant": "contoso", "write": True}
LIST = {"method": "POST", "path": "/ec2/DescribeInstances", "tenant": "contoso", "write": False}


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [
        ({}, [RUN, RUN], [1, 0]),
        ({"times": None}, [RUN, LIST, RUN], [1, 1, 1]),
        ({"times": 2}, [RUN, RUN, RUN], [1, 1, 0]),
        ({"every": 2, "times": None}, [RUN, RUN, RUN, RUN], [0, 1, 0, 1]),
        ({"every": 3}, [RUN] * 7, [0, 0, 1, 0, 0, 0, 0]),
        ({"writes": True}, [LIST, RUN, RUN], [0, 1, 0]),
        ({"writes": False, "times": None}, [LIST, RUN], [1, 0]),
        ({"path": "Describe", "times": None}, [LIST, RUN], [1, 0]),
        ({"method": "GET"}, [RUN], [0]),
        ({"method": "POST"}, [RUN], [1]),
        ({"operation": "^Run"}, [RUN], [0]),
        ({"operation": "^Run"}, [{**RUN, "operation": "RunInstances"}], [1]),
        ({"tenant": "fabrikam"}, [RUN], [0]),
    ],
)
def test_faults_meet_what_they_are_for(given: dict, asked: list[dict], expected: list[int]) -> None:
    faults = Faults()
    faults.add(kind="drop", **given)
    assert [len(faults.take(**request)) for request in asked] == expected


def test_removing_a_fault_lets_go_of_what_it_holds() -> None:
    faults = Faults()
    held = faults.add(kind="timeout", seconds=60)
    threading.Timer(0.05, faults.remove, [held.id]).start()
    assert faults.wait_removed(held, 60)
    assert faults.as_json() == []


def test_a_fault_that_stays_is_waited_for_in_vain() -> None:
    faults = Faults()
    assert not faults.wait_removed(faults.add(kind="timeout"), 0.01)


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "flood"},
        {"kind": "drop", "path": "("},
        {"kind": "slow", "seconds": -1},
        {"kind": "drop", "every": 0},
        {"kind": "drop", "when": "later"},
        {"kind": "drop", "operation": "("},
        {"kind": "delay"},
    ],
)
def test_what_is_not_understood_is_refused(given: dict) -> None:
    with pytest.raises(ValueError):
        Faults().add(**given)


def test_the_log_is_read_by_tenant_by_writes_and_from_a_place() -> None:
    journal = Journal()
    for tenant, write in (("a", True), ("b", False), ("a", False)):
        journal.open(tenant=tenant, method="POST", path="/", body={}, write=write)
    assert [one["seq"] for one in journal.read()] == [1, 2, 3]
    assert [one["seq"] for one in journal.read(tenant="a")] == [1, 3]
    assert [one["seq"] for one in journal.read(writes=True)] == [1]
    assert [one["seq"] for one in journal.read(since=2)] == [3]
    journal.clear()
    assert journal.read() == []
