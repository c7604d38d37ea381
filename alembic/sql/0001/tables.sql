-- Every tenant table has client_id first in its keys and indexes. Foreign keys carry the client with them.

CREATE TABLE clients (
    client_id   uuid PRIMARY KEY,
    slug        text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 63),
    name        text NOT NULL CHECK (name <> ''),
    colour      text NOT NULL DEFAULT 'slate',
    tags        text[] NOT NULL DEFAULT '{}',
    is_msp      boolean NOT NULL DEFAULT false,
    variables   jsonb NOT NULL DEFAULT '{}',
    policy      jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz
);

CREATE TABLE accounts (
    client_id          uuid NOT NULL REFERENCES clients (client_id),
    id                 uuid NOT NULL,
    email              text NOT NULL,
    email_key          text NOT NULL,
    name               text NOT NULL,
    password_hash      text,
    totp_secret        bytea,
    totp_last_timecode bigint,
    totp_confirmed_at  timestamptz,
    recovery_codes     jsonb NOT NULL DEFAULT '[]',
    locale             text NOT NULL DEFAULT 'en',
    theme              text NOT NULL DEFAULT 'system',
    disabled_at        timestamptz,
    failed_attempts    integer NOT NULL DEFAULT 0,
    locked_until       timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    last_sign_in_at    timestamptz,
    PRIMARY KEY (client_id, id),
    -- A person is one account, wherever they are a member: these two hold across clients.
    CONSTRAINT accounts_id_key UNIQUE (id),
    CONSTRAINT accounts_email_key_key UNIQUE (email_key)
);

CREATE TABLE memberships (
    client_id  uuid NOT NULL REFERENCES clients (client_id),
    account_id uuid NOT NULL REFERENCES accounts (id),
    role       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by uuid,
    PRIMARY KEY (client_id, account_id)
);
-- Which clients is this account a member of: asked at each sign-in and by each all-clients list.
CREATE INDEX memberships_account ON memberships (account_id, client_id);

CREATE TABLE sessions (
    client_id           uuid NOT NULL,
    id                  uuid NOT NULL,
    account_id          uuid NOT NULL,
    token_hash          bytea NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    last_seen_at        timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz NOT NULL,
    absolute_expires_at timestamptz NOT NULL,
    replaced_by         uuid,
    revoked_at          timestamptz,
    ip                  text,
    user_agent          text,
    stepped_up_at       timestamptz,
    PRIMARY KEY (client_id, id),
    CONSTRAINT sessions_token_hash_key UNIQUE (token_hash),
    FOREIGN KEY (client_id, account_id) REFERENCES accounts (client_id, id)
) WITH (fillfactor = 80);
CREATE INDEX sessions_account ON sessions (client_id, account_id);

CREATE TABLE api_tokens (
    client_id    uuid NOT NULL,
    id           uuid NOT NULL,
    account_id   uuid NOT NULL,
    name         text NOT NULL,
    token_hash   bytea NOT NULL,
    clients      uuid[],
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (client_id, id),
    CONSTRAINT api_tokens_token_hash_key UNIQUE (token_hash),
    FOREIGN KEY (client_id, account_id) REFERENCES accounts (client_id, id)
) WITH (fillfactor = 80);
CREATE INDEX api_tokens_account ON api_tokens (client_id, account_id);

CREATE TABLE connections (
    client_id       uuid NOT NULL REFERENCES clients (client_id),
    id              uuid NOT NULL,
    alias           text NOT NULL,
    platform        text NOT NULL,
    name            text NOT NULL,
    config          jsonb NOT NULL DEFAULT '{}',
    vault_path      text NOT NULL,
    platform_tenant text,
    state           text NOT NULL DEFAULT 'untested' CHECK (state IN ('untested', 'ok', 'failed', 'removed')),
    last_test       jsonb,
    tested_at       timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    created_by      uuid,
    revision        integer NOT NULL DEFAULT 1,
    removed_at      timestamptz,
    PRIMARY KEY (client_id, id)
);
-- A removed connection gives its alias back.
CREATE UNIQUE INDEX connections_alias ON connections (client_id, alias) WHERE removed_at IS NULL;

CREATE TABLE workflows (
    client_id         uuid NOT NULL REFERENCES clients (client_id),
    id                uuid NOT NULL,
    name              text NOT NULL CHECK (name <> ''),
    description       text NOT NULL DEFAULT '',
    draft             jsonb,
    draft_revision    integer NOT NULL DEFAULT 0,
    draft_by          uuid,
    draft_at          timestamptz,
    published_version integer,
    latest_version    integer,
    origin            jsonb,
    created_by        uuid,
    created_at        timestamptz NOT NULL DEFAULT now(),
    archived_at       timestamptz,
    PRIMARY KEY (client_id, id)
);
CREATE UNIQUE INDEX workflows_name ON workflows (client_id, name) WHERE archived_at IS NULL;

CREATE TABLE workflow_versions (
    client_id    uuid NOT NULL,
    workflow_id  uuid NOT NULL,
    version      integer NOT NULL CHECK (version > 0),
    document     jsonb NOT NULL,
    hash         text NOT NULL,
    note         text NOT NULL DEFAULT '',
    author_id    uuid,
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    published_by uuid,
    PRIMARY KEY (client_id, workflow_id, version),
    FOREIGN KEY (client_id, workflow_id) REFERENCES workflows (client_id, id)
);
ALTER TABLE workflows ADD CONSTRAINT workflows_published_fkey
    FOREIGN KEY (client_id, id, published_version) REFERENCES workflow_versions (client_id, workflow_id, version);

CREATE TABLE runs (
    client_id           uuid NOT NULL REFERENCES clients (client_id),
    id                  uuid NOT NULL,
    kind                text NOT NULL DEFAULT 'run' CHECK (kind IN ('run', 'undo', 'batch')),
    of                  uuid,
    parent              uuid,
    row_number          integer,
    workflow_id         uuid NOT NULL,
    version             integer,  -- none: a draft that someone tries, kept in extra
    document_hash       text NOT NULL,
    mode                text NOT NULL CHECK (mode IN ('plan', 'apply')),
    inputs              jsonb NOT NULL DEFAULT '{}',
    state               text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'waiting', 'paused', 'succeeded', 'failed', 'cancelled')),
    reason              jsonb,
    seal                text,
    sealed_plan         uuid,
    summary             jsonb NOT NULL DEFAULT '{}',
    only_node           text,
    started_by          uuid,
    started_by_name     text NOT NULL DEFAULT '',
    idempotency_key     text,
    cancel_requested_at timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    started_at          timestamptz,
    finished_at         timestamptz,
    label               text NOT NULL DEFAULT '',
    extra               jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (client_id, id),
    CONSTRAINT runs_idempotency_key UNIQUE (client_id, idempotency_key),
    FOREIGN KEY (client_id, workflow_id) REFERENCES workflows (client_id, id),
    FOREIGN KEY (client_id, workflow_id, version) REFERENCES workflow_versions (client_id, workflow_id, version),
    FOREIGN KEY (client_id, of) REFERENCES runs (client_id, id),
    FOREIGN KEY (client_id, parent) REFERENCES runs (client_id, id),
    FOREIGN KEY (client_id, sealed_plan) REFERENCES runs (client_id, id)
) WITH (fillfactor = 80);
CREATE INDEX runs_created ON runs (client_id, created_at DESC);
CREATE INDEX runs_workflow ON runs (client_id, workflow_id, id DESC);
CREATE INDEX runs_parent ON runs (client_id, parent) WHERE parent IS NOT NULL;
CREATE INDEX runs_of ON runs (client_id, of) WHERE of IS NOT NULL;
CREATE INDEX runs_sealed_plan ON runs (client_id, sealed_plan) WHERE sealed_plan IS NOT NULL;

CREATE TABLE run_plans (
    client_id  uuid NOT NULL,
    run_id     uuid NOT NULL,
    plan       jsonb NOT NULL,
    seal       text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client_id, run_id),
    FOREIGN KEY (client_id, run_id) REFERENCES runs (client_id, id)
);

-- History by month of the run: UUIDv7 is ordered by time. Months are made ahead by doors.maintain_partitions.
CREATE TABLE step_events (
    client_id uuid NOT NULL,
    run_id    uuid NOT NULL,
    seq       integer NOT NULL,
    node      text NOT NULL,
    kind      text NOT NULL,
    attempt   integer NOT NULL DEFAULT 0,
    payload   jsonb NOT NULL DEFAULT '{}',
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (client_id, run_id, seq),
    FOREIGN KEY (client_id, run_id) REFERENCES runs (client_id, id)
) PARTITION BY RANGE (run_id);
CREATE TABLE step_events_default PARTITION OF step_events DEFAULT;

-- The hot table: small rows, room for changed ones on the same page, indexes only over what can be claimed.
CREATE TABLE run_queue (
    client_id  uuid NOT NULL,
    run_id     uuid NOT NULL,
    ready_at   timestamptz,
    due        boolean NOT NULL DEFAULT false,
    priority   smallint NOT NULL DEFAULT 0,
    worker_id  uuid,
    fence      bigint NOT NULL DEFAULT 0,
    wakeups    integer NOT NULL DEFAULT 0,
    claimed_at timestamptz,
    abandoned  text CHECK (abandoned IN ('ended', 'lapsed')),  -- how the last worker lost it, until it is given back
    PRIMARY KEY (client_id, run_id),
    FOREIGN KEY (client_id, run_id) REFERENCES runs (client_id, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX run_queue_due ON run_queue (client_id, priority DESC, ready_at) WHERE due AND worker_id IS NULL;
CREATE INDEX run_queue_timers ON run_queue (ready_at)
    WHERE ready_at IS NOT NULL AND NOT due AND worker_id IS NULL;
CREATE INDEX run_queue_worker ON run_queue (worker_id) WHERE worker_id IS NOT NULL;
-- A fence is new in the whole installation, so a row that was removed and made again cannot repeat one.
CREATE SEQUENCE run_fence AS bigint;

-- Who is alive. Not tenant data; reached through doors only.
CREATE TABLE worker_leases (
    worker_id  uuid PRIMARY KEY,
    name       text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('worker', 'scheduler')),
    started_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    fence      bigint NOT NULL,
    ring       uuid
) WITH (fillfactor = 50);
CREATE TABLE leaderships (
    name       text PRIMARY KEY,
    holder     uuid NOT NULL,
    fence      bigint NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE approvals (
    client_id  uuid NOT NULL,
    id         uuid NOT NULL,
    run_id     uuid NOT NULL,
    node       text,
    seal       text,
    title      text NOT NULL,
    rule       jsonb NOT NULL,
    state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'denied', 'expired', 'void')),
    asked_by   uuid,
    asked_at   timestamptz NOT NULL DEFAULT now(),
    deadline   timestamptz,
    decided_at timestamptz,
    PRIMARY KEY (client_id, id),
    FOREIGN KEY (client_id, run_id) REFERENCES runs (client_id, id)
);
CREATE INDEX approvals_run ON approvals (client_id, run_id);
-- One open question at a time for a node, or for the gate of a run.
CREATE UNIQUE INDEX approvals_open ON approvals (client_id, run_id, node) NULLS NOT DISTINCT WHERE state = 'open';

CREATE TABLE approval_decisions (
    client_id   uuid NOT NULL,
    approval_id uuid NOT NULL,
    account_id  uuid NOT NULL,
    decision    text NOT NULL CHECK (decision IN ('approve', 'deny')),
    reason      text NOT NULL DEFAULT '',
    seal        text,
    at          timestamptz NOT NULL DEFAULT now(),
    mfa         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (client_id, approval_id, account_id),
    FOREIGN KEY (client_id, approval_id) REFERENCES approvals (client_id, id)
);

CREATE TABLE reveals (
    client_id   uuid NOT NULL,
    id          uuid NOT NULL,
    run_id      uuid NOT NULL,
    node        text NOT NULL,
    name        text NOT NULL,
    title       jsonb NOT NULL,
    vault_path  text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    revealed_at timestamptz,
    revealed_by uuid,
    link_hash   bytea,
    PRIMARY KEY (client_id, id),
    FOREIGN KEY (client_id, run_id) REFERENCES runs (client_id, id)
);
CREATE INDEX reveals_run ON reveals (client_id, run_id);
CREATE UNIQUE INDEX reveals_link ON reveals (client_id, link_hash) WHERE link_hash IS NOT NULL;

CREATE TABLE audit_events (
    client_id uuid NOT NULL REFERENCES clients (client_id),
    seq       bigint NOT NULL,
    at        timestamptz NOT NULL,
    actor_id  uuid,
    actor     text NOT NULL,
    via       text NOT NULL,
    ip        text,
    action    text NOT NULL,
    target    text NOT NULL DEFAULT '',
    outcome   text NOT NULL DEFAULT 'success',
    details   jsonb NOT NULL DEFAULT '{}',
    prev_hash bytea NOT NULL,
    hash      bytea NOT NULL,
    PRIMARY KEY (client_id, seq)
) PARTITION BY HASH (client_id);
CREATE INDEX audit_events_at ON audit_events (client_id, at DESC);
CREATE TABLE audit_heads (
    client_id uuid PRIMARY KEY REFERENCES clients (client_id),
    seq       bigint NOT NULL DEFAULT 0,
    hash      bytea NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE audit_checkpoints (
    client_id uuid NOT NULL REFERENCES clients (client_id),
    seq       bigint NOT NULL,
    hash      bytea NOT NULL,
    signature bytea NOT NULL,
    key_id    text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client_id, seq)
);
