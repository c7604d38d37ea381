-- A run may be walked, or something happened that its walker must see. Called in a tenant session; gives the wake-ups.
-- A run that comes into the queue for the first time takes its place in the client's start rate: it waits as a timer,
-- which costs claims nothing. What is urgent, or has a time of its own, does not wait for that.
CREATE OR REPLACE FUNCTION wake_run(client uuid, run uuid, at_time timestamptz DEFAULT NULL,
                                    urgency smallint DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    woken integer;
    later timestamptz;
BEGIN
    UPDATE public.run_queue q
       SET wakeups = q.wakeups + 1,
           ready_at = CASE WHEN q.worker_id IS NULL
                           THEN least(q.ready_at, coalesce(at_time, pg_catalog.clock_timestamp())) END,
           due = q.worker_id IS NULL AND (q.due OR at_time IS NULL),
           priority = coalesce(urgency, q.priority)
     WHERE q.client_id = client AND q.run_id = run
    RETURNING q.wakeups INTO woken;
    IF FOUND THEN
        RETURN woken;
    END IF;
    -- Most clients have no start rate, and a look is less than an update of nothing.
    IF at_time IS NULL AND coalesce(urgency, 0) <= 0 AND EXISTS (
        SELECT FROM public.client_limits l WHERE l.client_id = client AND l.starts_per_minute IS NOT NULL)
    THEN
        later := public.opsloom_start_at(client);
    END IF;
    INSERT INTO public.run_queue AS q (client_id, run_id, ready_at, due, priority, paced)
    VALUES (client, run, coalesce(at_time, later, pg_catalog.clock_timestamp()), at_time IS NULL
            AND coalesce(later <= pg_catalog.clock_timestamp(), true), coalesce(urgency, 0), later IS NOT NULL)
    ON CONFLICT (client_id, run_id) DO UPDATE
       SET wakeups = q.wakeups + 1,
           ready_at = CASE WHEN q.worker_id IS NULL THEN least(q.ready_at, excluded.ready_at) END,
           due = q.worker_id IS NULL AND (q.due OR excluded.due),
           priority = coalesce(urgency, q.priority)
    RETURNING q.wakeups INTO woken;
    RETURN woken;
END
$$;
