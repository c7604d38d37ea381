-- A run whose steps have gone to a file keeps its row, which says which file.
ALTER TABLE runs ADD COLUMN archived_at timestamptz, ADD COLUMN archive text;
CREATE INDEX runs_to_archive ON runs (client_id, id) WHERE finished_at IS NOT NULL AND archived_at IS NULL;

-- What archived steps changed: small, so that "what did we do to this account" still knows after years.
CREATE TABLE archived_changes (
    client_id uuid NOT NULL,
    target    text NOT NULL,
    run_id    uuid NOT NULL,
    seq       integer NOT NULL,
    node      text NOT NULL,
    kind      text NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (client_id, run_id, seq),
    FOREIGN KEY (client_id, run_id) REFERENCES runs (client_id, id)
);
CREATE INDEX archived_changes_target ON archived_changes (client_id, target, run_id, seq);
