CREATE INDEX runs_created ON runs (client_id, created_at DESC);
DROP INDEX runs_idempotency_key;
ALTER TABLE runs
    ADD CONSTRAINT runs_idempotency_key UNIQUE (client_id, idempotency_key),
    DROP CONSTRAINT runs_kind_check,
    DROP CONSTRAINT runs_mode_check,
    DROP CONSTRAINT runs_state_check,
    ADD CONSTRAINT runs_kind_check CHECK (kind IN ('run', 'undo', 'batch', 'wave')),
    ADD CONSTRAINT runs_mode_check CHECK (mode IN ('plan', 'apply')),
    ADD CONSTRAINT runs_state_check
        CHECK (state IN ('queued', 'running', 'waiting', 'paused', 'succeeded', 'failed', 'cancelled'));
