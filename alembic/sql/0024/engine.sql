-- The writes of several runs of one client, as engine_put makes each of them without patience, in a statement for all
-- where that makes one for each. Each run is there once, and none is given back. The places of "given" are those of
-- "runs"; it holds what engine_put gives. What is to be written where is joined to rows that are found by their key
-- (ANY), so that however many runs the client has, none but these is looked at. "unnest" of several arrays is syntax,
-- which no search path changes.
CREATE FUNCTION engine_put_all(client uuid, worker uuid, runs uuid[], fences bigint[], events jsonb[],
                               run_patches jsonb[], queue_patches jsonb[])
    RETURNS integer[]
    LANGUAGE plpgsql
AS $$
DECLARE
    given   integer[];
    ignored text;
BEGIN
    ignored := pg_catalog.set_config('app.current_tenant', client::text, true);
    WITH held AS (
        SELECT q.run_id, q.fence, q.wakeups, q.slot FROM public.run_queue q
         WHERE q.client_id = client AND q.run_id = ANY (runs) AND q.worker_id = worker
           FOR NO KEY UPDATE SKIP LOCKED)
    SELECT pg_catalog.array_agg(
               CASE WHEN NOT coalesce((w.queue_patch ->> 'done')::boolean, false) THEN h.wakeups
                    -- Its end lets the next one of its concurrency key look.
                    WHEN h.slot IS NOT NULL THEN NULL
                    WHEN h.wakeups <> (w.queue_patch ->> 'wakeups')::integer THEN -1 - h.wakeups
                    ELSE h.wakeups END
               ORDER BY w.place)
      INTO given
      FROM unnest(runs, fences, queue_patches) WITH ORDINALITY AS w (run, fence, queue_patch, place)
      LEFT JOIN held h ON h.run_id = w.run AND h.fence = w.fence;
    INSERT INTO public.step_events (client_id, run_id, seq, node, kind, attempt, payload, at)
    SELECT client, w.run, e.seq, e.node, e.kind, coalesce(e.attempt, 0), coalesce(e.payload, '{}'),
           pg_catalog.clock_timestamp()
      FROM unnest(runs, events, given) AS w (run, events, given),
           pg_catalog.jsonb_to_recordset(w.events) AS e (seq integer, node text, kind text, attempt integer,
                                                         payload jsonb)
     WHERE w.given >= 0;
    UPDATE public.runs r
       SET state = coalesce(w.patch ->> 'state', r.state),
           reason = CASE WHEN w.patch ? 'reason' THEN NULLIF(w.patch -> 'reason', 'null') ELSE r.reason END,
           seal = CASE WHEN w.patch ? 'seal' THEN w.patch ->> 'seal' ELSE r.seal END,
           sealed_plan = CASE WHEN w.patch ? 'sealed_plan' THEN (w.patch ->> 'sealed_plan')::uuid
                              ELSE r.sealed_plan END,
           summary = coalesce(w.patch -> 'summary', r.summary),
           extra = CASE WHEN w.patch ? 'extra' THEN r.extra || (w.patch -> 'extra') ELSE r.extra END,
           started_at = CASE WHEN (w.patch ->> 'started')::boolean
                             THEN coalesce(r.started_at, pg_catalog.clock_timestamp()) ELSE r.started_at END,
           finished_at = CASE WHEN NOT w.patch ? 'finished' THEN r.finished_at
                              WHEN (w.patch ->> 'finished')::boolean THEN pg_catalog.clock_timestamp() END
      FROM unnest(runs, run_patches, given) AS w (run, patch, given)
     WHERE r.client_id = client AND r.id = ANY (runs) AND r.id = w.run AND w.given >= 0 AND w.patch IS NOT NULL;
    INSERT INTO public.run_plans AS p (client_id, run_id, plan, seal, created_at)
    SELECT client, w.run, w.patch -> 'plan', w.patch ->> 'seal', (w.patch ->> 'plan_at')::timestamptz
      FROM unnest(runs, run_patches, given) AS w (run, patch, given)
     WHERE w.given >= 0 AND w.patch ? 'plan'
        ON CONFLICT (client_id, run_id) DO UPDATE
           SET plan = excluded.plan, seal = excluded.seal, created_at = excluded.created_at;
    DELETE FROM public.run_queue q
     WHERE q.client_id = client AND q.run_id = ANY (ARRAY(
               SELECT w.run FROM unnest(runs, queue_patches, given) AS w (run, queue_patch, given)
                WHERE w.given >= 0 AND (w.queue_patch ->> 'done')::boolean));
    RETURN given;
END
$$;

-- The writes of several runs of one worker, each in the eyes of its own client, in one transaction.
--
--   writes  [{"client", "run", "fence", "events", "run_patch", "queue_patch"}, ...]
--   told    [{"client", "events"}, ...] in the order of the clients: events for the client's audit chain (audit_append),
--           each with the "place" of the write it belongs to, and written where that was
--
-- Gives for each write its place from 1, what engine_put gave, and the number of the last event of its client's chain
-- where something was told. A NULL is for engine_commit to find out about. The heads of the chains are locked last and in
-- order, as everywhere, whatever the order of the writes. Without a valid lease every write is left out.
CREATE OR REPLACE FUNCTION engine_commit_many(worker uuid, writes jsonb, told jsonb)
    RETURNS TABLE (place integer, woken integer, last bigint)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    w       record;
    c       record;
    ignored text;
    puts    integer[];
    given   integer[] := pg_catalog.array_fill(NULL::integer, ARRAY[pg_catalog.jsonb_array_length(writes)]);
    valid   CONSTANT boolean := doors.lease_valid(worker);
    whole   boolean;
    lasts   jsonb := '{}';
BEGIN
    FOR w IN
        SELECT e.client, pg_catalog.array_agg(e.place) AS places, pg_catalog.array_agg(e.run) AS runs,
               pg_catalog.array_agg(e.fence) AS fences, pg_catalog.array_agg(e.events) AS events,
               pg_catalog.array_agg(e.run_patch) AS run_patches, pg_catalog.array_agg(e.queue_patch) AS queue_patches,
               -- One by one what is alone, what is written of twice, and what is given back.
               pg_catalog.count(*) > 1 AND pg_catalog.count(*) = pg_catalog.count(DISTINCT e.run)
                   AND NOT coalesce(pg_catalog.bool_or(e.queue_patch ? 'release'), false) AS together
          FROM ROWS FROM (pg_catalog.jsonb_to_recordset(writes) AS (
                   client uuid, run uuid, fence bigint, events jsonb, run_patch jsonb, queue_patch jsonb))
               WITH ORDINALITY AS e (client, run, fence, events, run_patch, queue_patch, place)
         WHERE valid
         GROUP BY e.client
    LOOP
        IF w.together THEN
            puts := public.engine_put_all(w.client, worker, w.runs, w.fences, w.events, w.run_patches, w.queue_patches);
            FOR i IN 1 .. pg_catalog.cardinality(puts) LOOP
                given[w.places[i]] := puts[i];
            END LOOP;
        ELSE
            FOR i IN 1 .. pg_catalog.cardinality(w.places) LOOP
                given[w.places[i]] := public.engine_put(w.client, w.runs[i], worker, w.fences[i], w.events[i],
                                                        w.run_patches[i], w.queue_patches[i], false);
            END LOOP;
        END IF;
    END LOOP;
    whole := coalesce(0 <= ALL (given), false);
    FOR c IN SELECT * FROM pg_catalog.jsonb_to_recordset(told) AS e (client uuid, events jsonb)
    LOOP
        IF NOT whole THEN
            c.events := (SELECT pg_catalog.jsonb_agg(e.event ORDER BY e.number)
                           FROM pg_catalog.jsonb_array_elements(c.events) WITH ORDINALITY AS e (event, number)
                          WHERE given[(e.event ->> 'place')::integer] >= 0);
            CONTINUE WHEN c.events IS NULL;
        END IF;
        ignored := pg_catalog.set_config('app.current_tenant', c.client::text, true);
        lasts := lasts || pg_catalog.jsonb_build_object(c.client, public.audit_append(c.client, c.events));
    END LOOP;
    RETURN QUERY
        SELECT e.place::integer, given[e.place], (lasts ->> (e.write ->> 'client'))::bigint
          FROM pg_catalog.jsonb_array_elements(writes) WITH ORDINALITY AS e (write, place);
END
$$;
