-- As before (go round the clients that have something due, take one of each, share what room is left), and:
--
--   A client may have a limit on the runs that are walked at once. Its claimed rows are counted, at most up to the limit:
--   nothing is kept that could leak. Who counts a client holds its lock until the claim commits, so that two claims
--   cannot both take the last place; a client whose lock is taken is passed by, never waited for.
--
--   The last `spare` of the places go only to clients that hold none anywhere: whoever fills a worker with long runs
--   does not hold up somebody else's one.
--
-- Clients that are passed by hold at least one claimed run each, so there are never more of them than workers have
-- places: the cost stays that of what is taken and held, not of the backlog.
CREATE FUNCTION doors.claim_runs(worker uuid, wanted integer, spare integer DEFAULT 0)
    RETURNS TABLE (client_id uuid, run_id uuid, fence bigint, wakeups integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = '' SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    nobody  CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    here    uuid;
    began   uuid;
    nearest uuid;
    wrapped boolean;
    taken   integer := 0;
    before  integer;
    share   integer := 1;
    met     integer;
    got     integer;
    most    integer;
    held    integer;
BEGIN
    -- Locked, so that the worker cannot be declared dead between this look and our commit.
    SELECT coalesce(l.ring, nobody) INTO here FROM public.worker_leases l
     WHERE l.worker_id = worker AND l.expires_at > clock_timestamp() FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % has no lease', worker USING ERRCODE = 'OL003';
    END IF;
    IF wanted < 1 THEN
        RETURN;
    END IF;
    PERFORM doors.due_timers();
    LOOP
        before := taken;
        met := 0;
        began := here;
        wrapped := false;
        LOOP
            SELECT q.client_id INTO nearest FROM public.run_queue q
             WHERE q.due AND q.worker_id IS NULL AND q.client_id > here
             ORDER BY q.client_id LIMIT 1;
            IF NOT FOUND THEN
                EXIT WHEN wrapped;
                wrapped := true;
                here := nobody;
                CONTINUE;
            END IF;
            EXIT WHEN wrapped AND nearest > began;
            here := nearest;
            met := met + 1;
            SELECT l.max_running INTO most FROM public.client_limits l WHERE l.client_id = nearest;
            IF taken < wanted - spare THEN
                got := least(share, wanted - spare - taken);
            ELSE
                got := 1;
                most := 1;
            END IF;
            IF most IS NOT NULL THEN
                CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended(nearest::text, 7));
                SELECT count(*) INTO held FROM (
                    SELECT FROM public.run_queue q
                     WHERE q.client_id = nearest AND q.worker_id IS NOT NULL LIMIT most) AS claimed;
                got := least(got, most - held);
                CONTINUE WHEN got < 1;
            END IF;
            RETURN QUERY
                WITH picked AS MATERIALIZED (
                    SELECT q.client_id, q.run_id FROM public.run_queue q
                     WHERE q.client_id = nearest AND q.due AND q.worker_id IS NULL
                     ORDER BY q.priority DESC, q.ready_at
                     LIMIT got FOR UPDATE SKIP LOCKED)
                UPDATE public.run_queue q
                   SET worker_id = worker, fence = nextval('public.run_fence'), claimed_at = clock_timestamp(),
                       ready_at = NULL, due = false, paced = false
                  FROM picked
                 WHERE q.client_id = picked.client_id AND q.run_id = picked.run_id
                RETURNING q.client_id, q.run_id, q.fence, q.wakeups;
            GET DIAGNOSTICS got = ROW_COUNT;
            taken := taken + got;
            EXIT WHEN taken >= wanted;
        END LOOP;
        EXIT WHEN taken >= wanted OR taken = before;
        share := greatest(1, (wanted - taken) / met);
    END LOOP;
    UPDATE public.worker_leases l SET ring = here WHERE l.worker_id = worker AND l.ring IS DISTINCT FROM here;
END
$$;
