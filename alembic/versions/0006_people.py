"""What people are asked to fill in; reminders of open questions."""

from alembic import op

from app.data import rls

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE approvals ADD COLUMN remind_at timestamptz, ADD COLUMN reminded_at timestamptz")
    op.execute("""
        CREATE TABLE forms (
            client_id   uuid NOT NULL,
            id          uuid NOT NULL,
            run_id      uuid NOT NULL,
            node        text NOT NULL,
            title       text NOT NULL,
            message     text NOT NULL DEFAULT '',
            questions   jsonb NOT NULL,
            rule        jsonb NOT NULL,
            state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered', 'expired', 'void')),
            seal        text,
            asked_by    uuid,
            asked_at    timestamptz NOT NULL DEFAULT now(),
            deadline    timestamptz,
            remind_at   timestamptz,
            reminded_at timestamptz,
            answer      jsonb,
            answered_by uuid,
            answered_at timestamptz,
            PRIMARY KEY (client_id, id),
            FOREIGN KEY (client_id, run_id) REFERENCES runs (client_id, id)
        )""")
    op.execute("CREATE INDEX forms_run ON forms (client_id, run_id)")
    op.execute("CREATE UNIQUE INDEX forms_open ON forms (client_id, run_id, node) WHERE state = 'open'")
    for statement in rls.tenant_table("forms"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE forms")
    op.execute("ALTER TABLE approvals DROP COLUMN reminded_at, DROP COLUMN remind_at")
