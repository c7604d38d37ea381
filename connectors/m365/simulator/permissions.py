"""Which application permissions let a caller do what: any one of a set is enough, as Graph's reference pages say."""

from __future__ import annotations

from connectors.m365.simulator.errors import denied

DIRECTORY_READ = {"Directory.Read.All", "Directory.ReadWrite.All"}

READ_USERS = {"User.Read.All", "User.ReadWrite.All", *DIRECTORY_READ}
LIST_USERS = READ_USERS | {"User.ReadBasic.All"}
WRITE_USERS = {"User.ReadWrite.All", "Directory.ReadWrite.All"}
DELETE_USERS = {"User.ReadWrite.All", "User.DeleteRestore.All"}
ENABLE_USERS = {"User.EnableDisableAccount.All", "User.ReadWrite.All", "Directory.ReadWrite.All"}
REVOKE_SESSIONS = {"User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"}
ASSIGN_LICENCES = {"LicenseAssignment.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"}
READ_SKUS = {"LicenseAssignment.Read.All", "LicenseAssignment.ReadWrite.All", "Organization.Read.All",
             "Organization.ReadWrite.All", *DIRECTORY_READ}  # fmt: skip
READ_ORGANIZATION = {"Organization.Read.All", "Organization.ReadWrite.All", "User.Read.All", *DIRECTORY_READ}
READ_GROUPS = {"Group.Read.All", "Group.ReadWrite.All", "GroupMember.Read.All", "GroupMember.ReadWrite.All",
               *DIRECTORY_READ}  # fmt: skip
WRITE_MEMBERS = {"GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"}

EVERYTHING = tuple(
    sorted(("User.ReadWrite.All", "User.DeleteRestore.All", "GroupMember.ReadWrite.All", "Organization.Read.All"))
)


def require(roles: frozenset[str], allowed: set[str]) -> None:
    """Raise Graph's 403 unless one of ``allowed`` was consented to."""
    if not roles & allowed:
        raise denied()
