-- What starts runs by itself. Times are in next_due (when it was to be) and next_at (with its spread): none where it is
-- off, so that the index of what is due holds what may start and nothing else.
CREATE TABLE triggers (
    client_id       uuid NOT NULL REFERENCES clients (client_id),
    id              uuid NOT NULL,
    name            text NOT NULL CHECK (name <> ''),
    kind            text NOT NULL CHECK (kind IN ('schedule', 'webhook', 'event')),
    workflow_id     uuid NOT NULL,
    version         integer,  -- none: whichever is published then
    mode            text NOT NULL CHECK (mode IN ('plan', 'apply')),
    inputs          jsonb NOT NULL DEFAULT '{}',
    config          jsonb NOT NULL DEFAULT '{}',
    listens         text,
    watch           boolean NOT NULL DEFAULT false,
    enabled         boolean NOT NULL DEFAULT false,
    enabled_by      uuid,
    enabled_by_name text NOT NULL DEFAULT '',
    enabled_at      timestamptz,
    stopped         jsonb,
    authors         uuid[] NOT NULL DEFAULT '{}',
    next_due        timestamptz,
    next_at         timestamptz,
    token_hash      bytea,
    secret_hash     bytea,
    drift           jsonb,
    last_firing     jsonb,
    revision        integer NOT NULL DEFAULT 1,
    created_by      uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    removed_at      timestamptz,
    PRIMARY KEY (client_id, id),
    FOREIGN KEY (client_id, workflow_id) REFERENCES workflows (client_id, id),
    FOREIGN KEY (client_id, workflow_id, version) REFERENCES workflow_versions (client_id, workflow_id, version)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX triggers_name ON triggers (client_id, lower(name)) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX triggers_token ON triggers (client_id, token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX triggers_listening ON triggers (client_id, listens) WHERE enabled AND listens IS NOT NULL;
CREATE INDEX triggers_due ON triggers (next_at) WHERE next_at IS NOT NULL;

-- Every firing with what came of it. The key (a due time, a delivery's id, a happening) makes it one firing only.
CREATE TABLE trigger_firings (
    client_id  uuid NOT NULL,
    id         uuid NOT NULL,
    trigger_id uuid NOT NULL,
    key        text NOT NULL,
    due        timestamptz,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome    text NOT NULL CHECK (outcome IN ('started', 'skipped', 'refused')),
    run_id     uuid,
    why        jsonb,
    depth      integer NOT NULL DEFAULT 0,
    PRIMARY KEY (client_id, id),
    CONSTRAINT trigger_firings_key UNIQUE (client_id, trigger_id, key),
    FOREIGN KEY (client_id, trigger_id) REFERENCES triggers (client_id, id)
);
CREATE INDEX trigger_firings_newest ON trigger_firings (client_id, trigger_id, at DESC);

-- What has happened and may start something. A row goes in the transaction that has dealt with it.
CREATE TABLE happenings (
    client_id  uuid NOT NULL REFERENCES clients (client_id),
    id         uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('run_ended', 'approval_decided', 'drift_found', 'drift_cleared')),
    subject    uuid NOT NULL,
    details    jsonb NOT NULL DEFAULT '{}',
    depth      integer NOT NULL DEFAULT 0,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    ready_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts   integer NOT NULL DEFAULT 0,
    PRIMARY KEY (client_id, id)
);
CREATE INDEX happenings_ready ON happenings (ready_at);

-- Written by the database itself, so that no way of ending a run or of closing an approval forgets it. With the rights
-- of whoever writes, under row-level security. Where nobody listens, nothing is written.
CREATE FUNCTION note_run_end() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF coalesce((NEW.extra #>> '{trigger,watch}')::boolean, false) OR EXISTS (
        SELECT FROM public.triggers t
         WHERE t.client_id = NEW.client_id AND t.enabled AND t.listens = 'run_ended')
    THEN
        INSERT INTO public.happenings (client_id, id, kind, subject, details, depth)
        VALUES (NEW.client_id, gen_random_uuid(), 'run_ended', NEW.id,
                jsonb_build_object('state', NEW.state, 'reason', NEW.reason),
                coalesce((NEW.extra #>> '{trigger,depth}')::integer, 0));
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION note_run_end() FROM PUBLIC;
CREATE TRIGGER note_end AFTER UPDATE OF state ON runs FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state IN ('succeeded', 'failed', 'cancelled')
          AND NEW.parent IS NULL AND NEW.only_node IS NULL)
    EXECUTE FUNCTION note_run_end();

CREATE FUNCTION note_decision() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF EXISTS (SELECT FROM public.triggers t
                WHERE t.client_id = NEW.client_id AND t.enabled AND t.listens = 'approval_decided')
    THEN
        INSERT INTO public.happenings (client_id, id, kind, subject, details, depth)
        VALUES (NEW.client_id, gen_random_uuid(), 'approval_decided', NEW.id,
                jsonb_build_object('state', NEW.state),
                coalesce((SELECT (r.extra #>> '{trigger,depth}')::integer FROM public.runs r
                           WHERE r.client_id = NEW.client_id AND r.id = NEW.run_id), 0));
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION note_decision() FROM PUBLIC;
CREATE TRIGGER note_decision AFTER UPDATE OF state ON approvals FOR EACH ROW
    WHEN (OLD.state = 'open' AND NEW.state IN ('approved', 'denied', 'expired'))
    EXECUTE FUNCTION note_decision();
