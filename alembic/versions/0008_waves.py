"""Waves: one workflow over many clients."""

from alembic import op

from app.data import rls

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE runs DROP CONSTRAINT runs_kind_check")
    op.execute("ALTER TABLE runs ADD CONSTRAINT runs_kind_check CHECK (kind IN ('run', 'undo', 'batch', 'wave'))")
    op.execute("""
        CREATE TABLE wave_targets (
            client_id  uuid NOT NULL,
            run_id     uuid NOT NULL,
            target     uuid NOT NULL,
            slug       text NOT NULL,
            name       text NOT NULL,
            stage      smallint NOT NULL,
            state      text NOT NULL DEFAULT 'preparing' CHECK (state IN ('preparing', 'held', 'queued', 'running',
                           'waiting', 'paused', 'succeeded', 'failed', 'cancelled', 'not_run')),
            target_run uuid,
            reason     jsonb,
            summary    jsonb NOT NULL DEFAULT '{}',
            PRIMARY KEY (client_id, run_id, target),
            FOREIGN KEY (client_id, run_id) REFERENCES runs (client_id, id)
        )""")
    for statement in rls.tenant_table("wave_targets"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE wave_targets")
    op.execute("ALTER TABLE runs DROP CONSTRAINT runs_kind_check")
    op.execute("ALTER TABLE runs ADD CONSTRAINT runs_kind_check CHECK (kind IN ('run', 'undo', 'batch'))")
