-- The engine's write: one statement a step. It runs with the worker's own rights, under row-level security.
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
--
-- Gives the number of wake-ups so far: more than the worker has seen means that something has happened to the run.
-- OL001: the run is no longer this worker's (another fence, or its lease has ended). Nothing is written then.
CREATE OR REPLACE FUNCTION engine_commit(client uuid, run uuid, worker uuid, fence bigint, events jsonb,
                              run_patch jsonb DEFAULT NULL, queue_patch jsonb DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    woken   integer;
    ignored text;
    freed   bytea;
BEGIN
    ignored := pg_catalog.set_config('app.current_tenant', client::text, true);
    IF (queue_patch ->> 'done')::boolean THEN
        SELECT q.slot INTO freed FROM public.run_queue q WHERE q.client_id = client AND q.run_id = run;
        -- Before any row is locked, everywhere, so that two that end at once cannot wait for each other.
        IF freed IS NOT NULL THEN
            PERFORM public.lock_slot(client, freed);
        END IF;
    END IF;
    -- Locked until the commit, so that no other worker can claim the run in between; shared, so that branches of one
    -- run that commit at the same time do not queue up behind each other's disk writes.
    IF queue_patch IS NULL THEN
        SELECT q.wakeups INTO woken FROM public.run_queue q
         WHERE q.client_id = client AND q.run_id = run AND q.worker_id = worker AND q.fence = engine_commit.fence
           AND doors.lease_valid(worker)
           FOR SHARE;
    ELSE
        SELECT q.wakeups INTO woken FROM public.run_queue q
         WHERE q.client_id = client AND q.run_id = run AND q.worker_id = worker AND q.fence = engine_commit.fence
           AND doors.lease_valid(worker)
           FOR NO KEY UPDATE;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % is no longer held by worker % with fence %', run, worker, fence USING ERRCODE = 'OL001';
    END IF;
    IF (queue_patch ->> 'done')::boolean AND woken <> (queue_patch ->> 'wakeups')::integer THEN
        RETURN -1 - woken;
    END IF;
    IF events IS NOT NULL THEN
        INSERT INTO public.step_events (client_id, run_id, seq, node, kind, attempt, payload, at)
        SELECT client, run, e.seq, e.node, e.kind, coalesce(e.attempt, 0), coalesce(e.payload, '{}'),
               pg_catalog.clock_timestamp()
          FROM pg_catalog.jsonb_to_recordset(events) AS e (seq integer, node text, kind text, attempt integer,
                                                           payload jsonb);
    END IF;
    IF run_patch IS NOT NULL THEN
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
               finished_at = CASE WHEN (run_patch ->> 'finished')::boolean THEN pg_catalog.clock_timestamp()
                                  WHEN run_patch ? 'finished' THEN NULL ELSE r.finished_at END
         WHERE r.client_id = client AND r.id = run;
    END IF;
    IF run_patch ? 'plan' THEN
        INSERT INTO public.run_plans AS p (client_id, run_id, plan, seal, created_at)
        VALUES (client, run, run_patch -> 'plan', run_patch ->> 'seal', (run_patch ->> 'plan_at')::timestamptz)
            ON CONFLICT (client_id, run_id) DO UPDATE
               SET plan = excluded.plan, seal = excluded.seal, created_at = excluded.created_at;
    END IF;
    IF (queue_patch ->> 'done')::boolean THEN
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
