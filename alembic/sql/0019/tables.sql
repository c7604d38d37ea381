-- A run's id is ordered by time, and what is asked by time asks by id too.
DROP INDEX runs_created;
-- Most runs have no key.
ALTER TABLE runs DROP CONSTRAINT runs_idempotency_key;
CREATE UNIQUE INDEX runs_idempotency_key ON runs (client_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- As before, with one constant each: PostgreSQL reads conditions anew for each statement that writes a run.
ALTER TABLE runs
    DROP CONSTRAINT runs_kind_check,
    DROP CONSTRAINT runs_mode_check,
    DROP CONSTRAINT runs_state_check,
    ADD CONSTRAINT runs_kind_check CHECK (kind = ANY ('{run,undo,batch,wave}')),
    ADD CONSTRAINT runs_mode_check CHECK (mode = ANY ('{plan,apply}')),
    ADD CONSTRAINT runs_state_check
        CHECK (state = ANY ('{queued,running,waiting,paused,succeeded,failed,cancelled}'));
