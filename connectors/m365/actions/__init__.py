"""What can be done in Microsoft 365, in the order in which it is offered. An action is one file and one line here."""

from __future__ import annotations

from typing import Any

from connectors.base import Action
from connectors.m365.actions.group_add_member import AddMember
from connectors.m365.actions.group_list import ListGroups
from connectors.m365.actions.group_remove_member import RemoveMember
from connectors.m365.actions.licence_assign import AssignLicence
from connectors.m365.actions.licence_list import ListLicences
from connectors.m365.actions.licence_remove import RemoveLicence
from connectors.m365.actions.user_access import DisableUser, EnableUser
from connectors.m365.actions.user_create import CreateUser
from connectors.m365.actions.user_delete import DeleteUser
from connectors.m365.actions.user_read import GetUser, ListUsers
from connectors.m365.actions.user_revoke_sessions import RevokeSessions
from connectors.m365.actions.user_update import UpdateUser

ACTIONS: tuple[type[Action[Any, Any]], ...] = (
    CreateUser,
    UpdateUser,
    DisableUser,
    EnableUser,
    RevokeSessions,
    DeleteUser,
    GetUser,
    ListUsers,
    AssignLicence,
    RemoveLicence,
    ListLicences,
    AddMember,
    RemoveMember,
    ListGroups,
)
