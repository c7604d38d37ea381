"""What the audit trail calls a step: ``m365.user.create`` is ``user_created``, or ``user_creation_failed``."""

from __future__ import annotations

from app.engine.core.variables import SET_VARIABLE

_DONE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "enable": "enabled",
    "disable": "disabled",
    "assign": "assigned",
    "remove": "removed",
    "add_member": "member_added",
    "remove_member": "member_removed",
    "revoke_sessions": "sessions_revoked",
    "run": "launched",
    "start": "started",
    "stop": "stopped",
    "terminate": "terminated",
    "send": "sent",
    "set": "set",
}
_ATTEMPT = {
    "create": "creation",
    "update": "update",
    "delete": "deletion",
    "enable": "enabling",
    "disable": "disabling",
    "assign": "assignment",
    "remove": "removal",
    "add_member": "member_addition",
    "remove_member": "member_removal",
    "revoke_sessions": "session_revocation",
    "run": "launch",
    "start": "start",
    "stop": "stop",
    "terminate": "termination",
    "send": "sending",
    "set": "setting",
}


def _parts(action: str) -> tuple[str, str]:
    """Resource and verb. Our own data is not named by a platform."""
    if action == SET_VARIABLE:
        return "client_variable", "set"
    _, resource, verb = action.split(".", 2)
    return resource, verb


def applied(action: str) -> str:
    """The event of a step that was done."""
    resource, verb = _parts(action)
    return f"{resource}_{_DONE.get(verb, f'{verb}_done')}"


def failed(action: str) -> str:
    """The event of a step that failed."""
    resource, verb = _parts(action)
    return f"{resource}_{_ATTEMPT.get(verb, verb)}_failed"


def undone(action: str) -> str:
    """The event of a step that was taken back."""
    resource, verb = _parts(action)
    return f"{resource}_{_ATTEMPT.get(verb, verb)}_undone"
