"""A run as text: the plan as Terraform shows one, then what was done."""

from __future__ import annotations

from typing import Any

from app.cli.common import FAILED, WAITING
from app.services.run_views import RunView

_SIGNS = {"create": "+", "update": "~", "delete": "-", "none": " ", "unknown": "?"}


def ending(view: RunView) -> int:
    """The exit status that tells how the run stands."""
    if view.state == "succeeded":
        return 0
    return WAITING if view.state in ("waiting", "paused") else FAILED


def told(view: RunView) -> str:
    """The run for a person at a terminal."""
    lines = [f"{view.workflow_name} · {view.label}".rstrip(" ·"), f"{view.mode} run {view.id}: {view.state}"]
    lines += ["", *_plan(view)]
    if view.kind == "batch":
        lines += ["", *(f"  row {row.row_number}: {row.label}: {row.state}{_why(row.reason)}" for row in view.runs)]
        lines += [f"  row {held['row']}: held back: {_problems(held)}" for held in view.held_back]
    elif view.mode == "apply":
        lines += ["", *(f"  {step.state:<10} {step.name}{_why(step.error)}" for step in view.steps)]
    lines += _waits(view)
    if view.state == "failed":
        lines.append(f"Failed{_why(view.reason)}")
    return "\n".join(lines)


def _plan(view: RunView) -> list[str]:
    counts = view.summary
    words = {"add": "to add", "change": "to change", "remove": "to remove", "unknown": "known after run"}
    lines = ["Plan: " + ", ".join(f"{counts.get(key, 0)} {word}" for key, word in words.items()) + "."]
    for step in view.plan:
        lines += _step(step)
    return lines


def _step(step: dict[str, Any]) -> list[str]:
    if step.get("problem"):
        return [f"  ! {step['name']}{_why(step['problem'])}"]
    change = step.get("change")
    if not change:
        return []
    note = "" if change["reversible"] or change["kind"] == "none" else "  (cannot be undone)"
    lines = [f"  {_SIGNS[change['kind']]} {change['target']}  {step['name']}{note}"]
    before, after = change.get("before") or {}, change.get("after") or {}
    if change["kind"] != "none":
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        lines += [f"      {name}: {_value(before.get(name))} → {_value(after.get(name))}" for name in names]
    return lines


def _value(value: Any) -> str:
    if isinstance(value, dict) and "$unknown" in value:
        return "(known after run)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "—" if value is None else str(value)


def _why(error: dict[str, Any] | None) -> str:
    if not error:
        return ""
    node = f" at {error['node']}" if error.get("node") else ""
    field = f" ({error['field']})" if error.get("field") else ""
    return f"{node}: {error.get('message') or error.get('code', '')}{field}"


def _problems(held: dict[str, Any]) -> str:
    return "; ".join(f"{problem.get('field', '')}: {problem['message']}" for problem in held["problems"])


def _waits(view: RunView) -> list[str]:
    asked = [approval for approval in view.approvals if approval.state == "open"]
    return [
        f"Waits for {approval.count} of: {', '.join(approval.roles)}.  approval {approval.id}  seal {approval.seal}"
        for approval in asked
    ]
