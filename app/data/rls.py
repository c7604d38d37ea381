"""Row-level security as statements. Every migration that makes a table uses these, so that all tables say the same.

Fail closed: without a tenant the setting is NULL, after a transaction it is '' - both compare as unknown, and nothing
is seen. The sub-select makes it an InitPlan, evaluated once a statement instead of once a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from app.data import roles

TENANT_SETTING = "app.current_tenant"
ACCOUNT_SETTING = "app.current_account"
TENANT_RULE = f"client_id = (SELECT NULLIF(current_setting('{TENANT_SETTING}', true), '')::uuid)"
ACCOUNT_RULE = f"account_id = (SELECT NULLIF(current_setting('{ACCOUNT_SETTING}', true), '')::uuid)"
# The clients are looked up in memberships, under its own policy for the overview role.
OVERVIEW_RULE = f"client_id = ANY (ARRAY(SELECT m.client_id FROM public.memberships m WHERE m.{ACCOUNT_RULE}))"  # noqa: S608 - constants only

SELECT, INSERT, UPDATE, DELETE = "SELECT", "INSERT", "UPDATE", "DELETE"
READ_WRITE = (SELECT, INSERT, UPDATE)
ADD_ONLY = (SELECT, INSERT)


def force(table: str) -> list[str]:
    """Switch row-level security on for everybody, the owner included."""
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"REVOKE ALL ON {table} FROM PUBLIC",
    ]


def tenant_table(table: str, verbs: Sequence[str] = READ_WRITE, *, update_only: Iterable[str] = ()) -> list[str]:
    """``table`` belongs to clients: tenant sessions may use ``verbs`` on their own rows.

    ``update_only`` limits UPDATE to some columns. The role of data migrations gets the same verbs over all clients.
    """
    columns = ", ".join(update_only)
    granted = [f"{verb} ({columns})" if verb == UPDATE and columns else verb for verb in verbs]
    return [
        *force(table),
        f"CREATE POLICY tenant ON {table} FOR ALL TO {roles.APP} USING ({TENANT_RULE}) WITH CHECK ({TENANT_RULE})",
        f"GRANT {', '.join(granted)} ON {table} TO {roles.APP}",
        f"CREATE POLICY data ON {table} FOR ALL TO {roles.DATA} USING (true) WITH CHECK (true)",
        f"GRANT {', '.join(granted)} ON {table} TO {roles.DATA}",
    ]


def overview(table: str, rule: str = OVERVIEW_RULE) -> list[str]:
    """Let an account's all-clients lists read ``table``."""
    return [
        f"CREATE POLICY overview ON {table} FOR SELECT TO {roles.OVERVIEW} USING ({rule})",
        f"GRANT SELECT ON {table} TO {roles.OVERVIEW}",
    ]


def dispatch(table: str, grants: Mapping[str, Sequence[str]]) -> list[str]:
    """Let doors use ``table``: ``grants`` maps a verb to the columns it may touch (none: the whole row)."""
    statements = []
    for verb, columns in grants.items():
        using = "" if verb == INSERT else " USING (true)"
        check = " WITH CHECK (true)" if verb in (INSERT, UPDATE) else ""
        named = f" ({', '.join(columns)})" if columns else ""
        statements += [
            f"CREATE POLICY dispatch_{verb.lower()} ON {table} FOR {verb} TO {roles.DISPATCH}{using}{check}",
            f"GRANT {verb}{named} ON {table} TO {roles.DISPATCH}",
        ]
    return statements


def copy_policies(parent: str, partition: str) -> list[str]:
    """Give a partition its parent's policies. Nobody is granted the partition itself: it is used through its parent."""
    return [*force(partition), f"SELECT public.copy_policies('public.{parent}', 'public.{partition}')"]
