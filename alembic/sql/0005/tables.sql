ALTER TABLE runs
    ADD COLUMN pause_requested_at timestamptz,
    ADD COLUMN priority smallint NOT NULL DEFAULT 0,
    ADD COLUMN follows uuid,  -- the run because of which this one was started: run again, or its error handler
    ADD FOREIGN KEY (client_id, follows) REFERENCES runs (client_id, id);
CREATE INDEX runs_follows ON runs (client_id, follows) WHERE follows IS NOT NULL;
ALTER TABLE run_queue
    ADD COLUMN slot bytea,
    ADD COLUMN slot_held boolean NOT NULL DEFAULT false;
CREATE INDEX run_queue_slot ON run_queue (client_id, slot, run_id) WHERE slot IS NOT NULL;
