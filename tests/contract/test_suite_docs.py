"""Every connector and step is documented, and the pages say what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from connectors.docs import page
from connectors.registry import CONNECTORS, actions, connector

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("platform", CONNECTORS)
def test_the_reference_page_is_up_to_date(platform: str) -> None:
    written = (DOCS / "connectors" / f"{platform}.md").read_text(encoding="utf-8")
    assert written == page(connector(platform)), "run: python -m connectors.docs docs/connectors"


@pytest.mark.parametrize("action_id", sorted(actions()))
def test_every_step_has_its_section(action_id: str) -> None:
    text = (DOCS / "connectors" / f"{action_id.partition('.')[0]}.md").read_text(encoding="utf-8")
    assert f"\n### {action_id}\n" in text


def test_the_policy_that_clients_are_given_holds_what_the_steps_need_and_no_more() -> None:
    text = (DOCS / "how-to" / "connect-aws.md").read_text(encoding="utf-8")
    policies = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    granted = {
        action
        for policy in policies
        for statement in policy["Statement"]
        if "Resource" in statement
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        if action.startswith("ec2:")
    }
    assert granted == {name for kind in connector("aws").actions for name in kind.permissions}
