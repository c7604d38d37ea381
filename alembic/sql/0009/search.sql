-- How a run ended; nothing while it goes on. It changes once, so that only the end of a run writes into its index.
ALTER TABLE runs ADD COLUMN outcome text
    GENERATED ALWAYS AS (CASE WHEN finished_at IS NOT NULL THEN state END) STORED;
CREATE INDEX runs_heads ON runs (client_id, id DESC) WHERE parent IS NULL;
CREATE INDEX runs_outcome ON runs (client_id, outcome, id DESC);

-- What a step changed, so that "what did we do to this account" is one look into an index.
ALTER TABLE step_events ADD COLUMN target text
    GENERATED ALWAYS AS (CASE WHEN kind = 'succeeded' AND payload -> 'change' ->> 'kind' <> 'none'
                              THEN payload -> 'change' ->> 'target' END) STORED;
CREATE INDEX step_events_target ON step_events (client_id, target, run_id, seq) WHERE target IS NOT NULL;

-- The words by which an ended run is found. A table of its own and no GIN index: under row-level security only
-- operators that are marked leakproof reach an index, and those of tsvector, jsonb and LIKE are not.
CREATE TABLE run_words (
    client_id uuid NOT NULL,
    word      text NOT NULL COLLATE "C",
    run_id    uuid NOT NULL,
    PRIMARY KEY (client_id, word, run_id)
);

-- The words of a run: of its label, the values of its inputs (not their names) and why it failed. Bounded, whatever
-- the inputs are.
CREATE FUNCTION opsloom_words(label text, inputs jsonb, reason jsonb) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT DISTINCT left(found.word, 64)
      FROM regexp_split_to_table(lower(left(concat_ws(' ', label, reason ->> 'code', reason ->> 'node',
                                                      left(reason ->> 'message', 2000),
               (SELECT string_agg(left(v #>> '{}', 500), ' ')
                  FROM (SELECT v FROM pg_catalog.jsonb_path_query(inputs, 'strict $.**') AS v LIMIT 2000) AS told
                 WHERE jsonb_typeof(v) IN ('string', 'number'))), 20000)), '[^[:alnum:]]+') AS found (word)
     WHERE length(found.word) > 1
     LIMIT 300
$$;

-- Whether each of `wanted` begins one of the run's words.
CREATE FUNCTION opsloom_has_words(wanted text[], label text, inputs jsonb, reason jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT NOT EXISTS (
        SELECT FROM unnest(wanted) AS w (word)
         WHERE NOT EXISTS (SELECT FROM public.opsloom_words(label, inputs, reason) AS found (word)
                            WHERE starts_with(found.word, w.word)))
$$;

CREATE FUNCTION opsloom_index_run() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    INSERT INTO public.run_words (client_id, word, run_id)
    SELECT NEW.client_id, found.word, NEW.id
      FROM public.opsloom_words(NEW.label, NEW.inputs, NEW.reason) AS found (word)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER runs_indexed AFTER UPDATE OF finished_at ON runs FOR EACH ROW
    WHEN (NEW.finished_at IS NOT NULL AND OLD.finished_at IS DISTINCT FROM NEW.finished_at)
    EXECUTE FUNCTION opsloom_index_run();
CREATE TRIGGER runs_indexed_at_once AFTER INSERT ON runs FOR EACH ROW
    WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION opsloom_index_run();
