"""Who may do what: a role is a set of permissions, and this table is all there is.

A role holds inside one client. Every verb of the services names the permission it needs; a test walks all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import Text

# What each permission allows, in the order in which pages list them.
PERMISSIONS: Mapping[str, Text] = {
    "client.read": Text("See the client", "Voir le client"),
    "client.write": Text("Change the client and its approval policy", "Modifier le client et sa règle d’approbation"),
    "account.read": Text("See who has access", "Voir qui a accès"),
    "account.write": Text("Give and take access", "Donner et retirer l’accès"),
    "connection.read": Text("See connections", "Voir les connexions"),
    "connection.write": Text("Add, test and remove connections", "Ajouter, tester et retirer des connexions"),
    "workflow.read": Text("See workflows", "Voir les workflows"),
    "workflow.write": Text("Draw workflows", "Dessiner des workflows"),
    "workflow.publish": Text("Publish workflows", "Publier des workflows"),
    "trigger.write": Text("Decide what starts by itself", "Décider de ce qui se lance tout seul"),
    "run.read": Text("See runs", "Voir les exécutions"),
    "run.plan": Text("Check what a run would change", "Vérifier ce qu’une exécution changerait"),
    "run.start": Text("Start runs", "Lancer des exécutions"),
    "run.cancel": Text("Pause and cancel runs", "Mettre en pause et annuler des exécutions"),
    "run.hurry": Text("Put runs before others", "Faire passer des exécutions avant les autres"),
    "run.undo": Text("Undo runs", "Défaire des exécutions"),
    "wave.start": Text("Run a workflow over many clients", "Exécuter un workflow chez plusieurs clients"),
    "approval.read": Text("See approvals", "Voir les approbations"),
    "approval.decide": Text("Approve or deny", "Approuver ou refuser"),
    "form.read": Text("See forms that people are asked to fill in", "Voir les formulaires à remplir"),
    "form.answer": Text("Fill in forms", "Remplir des formulaires"),
    "secret.reveal": Text("Hand over a one-time secret", "Remettre un secret à usage unique"),
    "audit.read": Text("Read the audit trail", "Lire le journal d’audit"),
    "health.read": Text("See the health of the system", "Voir l’état du système"),
}

ROLE_NAMES: Mapping[str, Text] = {
    "owner": Text("Owner", "Propriétaire"),
    "engineer": Text("Engineer", "Ingénieur"),
    "approver": Text("Approver", "Approbateur"),
    "helpdesk": Text("Help desk", "Assistance"),
    "viewer": Text("Viewer", "Lecteur"),
    "portal": Text("Portal", "Portail"),
}

_VIEW = frozenset({"client.read", "connection.read", "workflow.read", "run.read", "approval.read", "form.read"})
_ENGINEER = _VIEW | {
    "connection.write", "workflow.write", "workflow.publish", "trigger.write", "run.plan", "run.start",
    "run.cancel", "run.undo", "run.hurry", "wave.start", "secret.reveal", "audit.read", "account.read", "health.read",
    "form.answer",
}  # fmt: skip
_APPROVER = _VIEW | {"run.plan", "approval.decide", "audit.read", "account.read", "form.answer"}

# An engineer does not approve: whoever both draws and approves could get round the approval. An owner can do both, but
# the engine still refuses anyone's approval of what they asked for, wrote or published themselves.
ROLES: Mapping[str, frozenset[str]] = {
    "owner": frozenset(PERMISSIONS),
    "engineer": _ENGINEER,
    "approver": _APPROVER,
    "helpdesk": _VIEW | {"run.plan", "run.start", "run.cancel", "secret.reveal", "form.answer"},
    "viewer": _VIEW,
    "portal": frozenset({"client.read"}),
}
LOWEST_ROLE = "portal"


def permissions_of(role: str) -> frozenset[str]:
    """What ``role`` allows; nothing where there is no such role."""
    return ROLES.get(role, frozenset())
