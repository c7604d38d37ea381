-- The engine's write, alone and in company. Both run with the worker's own rights, under row-level security.
--
--   events       [{"seq", "node", "kind", "attempt", "payload"}, ...] or NULL
--   run_patch    any of state, reason, seal, summary, sealed_plan, extra (merged), the flags started and finished, and
--                plan with plan_at, which become the run's plan under its seal
--   queue_patch  {"done": true} removes the run from the queue and lets the next one of its concurrency key look. With
--                "wakeups": seen it does so only where nobody has woken the run since: -1 - wake-ups is given otherwise,
--                and nothing is written, so that what was asked at the last moment is not lost.
--                {"release": true, "wakeups": seen, "ready_at": time}
--                gives it back: ready at that time (left out: until it is woken), or at once where it was woken since.
--                "abandoned" says how the worker before lost it, where that still matters.
--                "delay_s" instead of ready_at counts from the database's clock.
--   patient      whether to wait for whoever has the run's place in the queue locked. Who holds the places of other runs
--                must not: two that wait for each other so would both be stuck. Without patience it is the caller who
--                asks whether the worker's lease is valid: once, for all the runs that it writes of.
--
-- Gives the number of wake-ups so far: more than the worker has seen means that something has happened to the run. NULL:
-- nothing was written, as the run is no longer this worker's (another fence, or its lease has ended), or, without
-- patience, as somebody has it locked or its end lets others look.
CREATE OR REPLACE FUNCTION engine_put(client uuid, run uuid, worker uuid, fence bigint, events jsonb, run_patch jsonb,
                           queue_patch jsonb, patient boolean)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    ends    CONSTANT boolean := coalesce((queue_patch ->> 'done')::boolean, false);
    woken   integer;
    ignored text;
    freed   bytea;
BEGIN
    ignored := pg_catalog.set_config('app.current_tenant', client::text, true);
    IF ends AND patient THEN
        SELECT q.slot INTO freed FROM public.run_queue q WHERE q.client_id = client AND q.run_id = run;
        -- Before any row is locked, everywhere, so that two that end at once cannot wait for each other.
        IF freed IS NOT NULL THEN
            PERFORM public.lock_slot(client, freed);
        END IF;
    END IF;
    -- Locked until the commit, so that no other worker can claim the run in between; shared, so that branches of one
    -- run that commit at the same time do not queue up behind each other's disk writes.
    IF queue_patch IS NOT NULL AND patient THEN
        SELECT q.wakeups INTO woken FROM public.run_queue q
         WHERE q.client_id = client AND q.run_id = run AND q.worker_id = worker AND q.fence = engine_put.fence
           AND doors.lease_valid(worker)
           FOR NO KEY UPDATE;
    ELSIF queue_patch IS NOT NULL THEN
        SELECT q.wakeups, CASE WHEN ends THEN q.slot END INTO woken, freed FROM public.run_queue q
         WHERE q.client_id = client AND q.run_id = run AND q.worker_id = worker AND q.fence = engine_put.fence
           FOR NO KEY UPDATE SKIP LOCKED;
    ELSIF patient THEN
        SELECT q.wakeups INTO woken FROM public.run_queue q
         WHERE q.client_id = client AND q.run_id = run AND q.worker_id = worker AND q.fence = engine_put.fence
           AND doors.lease_valid(worker)
           FOR SHARE;
    ELSE
        SELECT q.wakeups INTO woken FROM public.run_queue q
         WHERE q.client_id = client AND q.run_id = run AND q.worker_id = worker AND q.fence = engine_put.fence
           FOR SHARE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- Its row stays locked until the commit, which holds up nobody for longer than the other rows do: this transaction
    -- waits for nothing but the heads of audit chains, and whoever has one of those waits for no place in the queue.
    IF freed IS NOT NULL AND NOT patient THEN
        RETURN NULL;
    END IF;
    IF ends AND woken <> (queue_patch ->> 'wakeups')::integer THEN
        RETURN -1 - woken;
    END IF;
    IF events IS NOT NULL THEN
        INSERT INTO public.step_events (client_id, run_id, seq, node, kind, attempt, payload, at)
        SELECT client, run, e.seq, e.node, e.kind, coalesce(e.attempt, 0), coalesce(e.payload, '{}'),
               pg_catalog.clock_timestamp()
          FROM pg_catalog.jsonb_to_recordset(events) AS e (seq integer, node text, kind text, attempt integer,
                                                           payload jsonb);
    END IF;
    -- Two statements, as one that names finished_at costs half as much again: a trigger looks at each row it changes.
    IF run_patch ? 'finished' THEN
        UPDATE public.runs r
           SET state = coalesce(run_patch ->> 'state', r.state),
               reason = CASE WHEN run_patch ? 'reason' THEN NULLIF(run_patch -> 'reason', 'null') ELSE r.reason END,
               seal = CASE WHEN run_patch ? 'seal' THEN run_patch ->> 'seal' ELSE r.seal END,
               sealed_plan = CASE WHEN run_patch ? 'sealed_plan' THEN (run_patch ->> 'sealed_plan')::uuid
                                  ELSE r.sealed_plan END,
               summary = coalesce(run_patch -> 'summary', r.summary),
               extra = CASE WHEN run_patch ? 'extra' THEN r.extra || (run_patch -> 'extra') ELSE r.extra END,
               started_at = CASE WHEN (run_patch ->> 'started')::boolean
                                 THEN coalesce(r.started_at, pg_catalog.clock_timestamp()) ELSE r.started_at END,
               finished_at = CASE WHEN (run_patch ->> 'finished')::boolean THEN pg_catalog.clock_timestamp() END
         WHERE r.client_id = client AND r.id = run;
    ELSIF run_patch IS NOT NULL THEN
        UPDATE public.runs r
           SET state = coalesce(run_patch ->> 'state', r.state),
               reason = CASE WHEN run_patch ? 'reason' THEN NULLIF(run_patch -> 'reason', 'null') ELSE r.reason END,
               seal = CASE WHEN run_patch ? 'seal' THEN run_patch ->> 'seal' ELSE r.seal END,
               sealed_plan = CASE WHEN run_patch ? 'sealed_plan' THEN (run_patch ->> 'sealed_plan')::uuid
                                  ELSE r.sealed_plan END,
               summary = coalesce(run_patch -> 'summary', r.summary),
               extra = CASE WHEN run_patch ? 'extra' THEN r.extra || (run_patch -> 'extra') ELSE r.extra END,
               started_at = CASE WHEN (run_patch ->> 'started')::boolean
                                 THEN coalesce(r.started_at, pg_catalog.clock_timestamp()) ELSE r.started_at END
         WHERE r.client_id = client AND r.id = run;
    END IF;
    IF run_patch ? 'plan' THEN
        INSERT INTO public.run_plans AS p (client_id, run_id, plan, seal, created_at)
        VALUES (client, run, run_patch -> 'plan', run_patch ->> 'seal', (run_patch ->> 'plan_at')::timestamptz)
            ON CONFLICT (client_id, run_id) DO UPDATE
               SET plan = excluded.plan, seal = excluded.seal, created_at = excluded.created_at;
    END IF;
    IF ends THEN
        DELETE FROM public.run_queue q WHERE q.client_id = client AND q.run_id = run;
        IF freed IS NOT NULL THEN
            PERFORM public.wake_next(client, freed);
        END IF;
    ELSIF (queue_patch ->> 'release')::boolean THEN
        UPDATE public.run_queue q
           SET worker_id = NULL, claimed_at = NULL, due = false,
               abandoned = CASE WHEN queue_patch ? 'abandoned' THEN queue_patch ->> 'abandoned' END,
               ready_at = CASE
                   WHEN q.wakeups <> coalesce((queue_patch ->> 'wakeups')::integer, q.wakeups)
                       THEN pg_catalog.clock_timestamp()
                   WHEN queue_patch ? 'delay_s'
                       THEN pg_catalog.clock_timestamp()
                            + pg_catalog.make_interval(secs => (queue_patch ->> 'delay_s')::double precision)
                   ELSE (queue_patch ->> 'ready_at')::timestamptz END,
               priority = coalesce((queue_patch ->> 'priority')::smallint, q.priority)
         WHERE q.client_id = client AND q.run_id = run;
    END IF;
    RETURN woken;
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
    put     integer;
    given   integer[] := '{}';
    valid   CONSTANT boolean := doors.lease_valid(worker);
    whole   boolean := true;
    lasts   jsonb := '{}';
BEGIN
    FOR w IN SELECT * FROM pg_catalog.jsonb_to_recordset(writes) AS e (
        client uuid, run uuid, fence bigint, events jsonb, run_patch jsonb, queue_patch jsonb)
    LOOP
        put := CASE WHEN valid THEN public.engine_put(w.client, w.run, worker, w.fence, w.events, w.run_patch,
                                                      w.queue_patch, false) END;
        given := pg_catalog.array_append(given, put);
        whole := whole AND coalesce(put >= 0, false);
    END LOOP;
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
