-- For the health page. None of these tells what a run is about; a reader's own clients are named by `shown`, of all
-- others only numbers come out.

-- Who holds a lease. `holds` is how many runs, over all clients.
CREATE FUNCTION doors.lease_holders()
    RETURNS TABLE (worker_id uuid, name text, kind text, code text, alive boolean, leads boolean, holds bigint,
                   started_at timestamptz, heard_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT l.worker_id, l.name, l.kind, l.code, l.expires_at > clock_timestamp(),
           EXISTS (SELECT FROM public.leaderships p WHERE p.holder = l.worker_id AND p.expires_at > clock_timestamp()),
           (SELECT count(*) FROM public.run_queue q WHERE q.worker_id = l.worker_id),
           l.started_at, l.heard_at
      FROM public.worker_leases l
     ORDER BY l.kind DESC, l.started_at, l.worker_id
$$;

-- The runs of `shown` clients that workers hold, those held longest first.
CREATE FUNCTION doors.runs_at_hand(shown uuid[], most integer)
    RETURNS TABLE (worker_id uuid, client_id uuid, run_id uuid, claimed_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT q.worker_id, q.client_id, q.run_id, q.claimed_at
      FROM public.run_queue q
     WHERE q.worker_id IS NOT NULL AND q.client_id = ANY (shown)
     ORDER BY q.claimed_at, q.run_id
     LIMIT most
$$;

-- The queue of each of the `shown` clients that has runs in it, and of all others together (without a client): runs
-- that wait for a worker, are walked, wait for a time, wait for somebody; since when the oldest waits for a worker.
CREATE FUNCTION doors.queue_by_client(shown uuid[], most integer)
    RETURNS TABLE (client_id uuid, clients bigint, waiting bigint, running bigint, timers bigint, idle bigint,
                   oldest_at timestamptz, max_running integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    WITH counted AS (
        SELECT s.id, count(DISTINCT q.client_id) AS clients,
               count(*) FILTER (WHERE q.worker_id IS NULL AND q.ready_at <= clock_timestamp()) AS waiting,
               count(*) FILTER (WHERE q.worker_id IS NOT NULL) AS running,
               count(*) FILTER (WHERE q.worker_id IS NULL AND q.ready_at > clock_timestamp()) AS timers,
               count(*) FILTER (WHERE q.worker_id IS NULL AND q.ready_at IS NULL) AS idle,
               min(q.ready_at) FILTER (WHERE q.worker_id IS NULL AND q.ready_at <= clock_timestamp()) AS oldest_at
          FROM public.run_queue q LEFT JOIN (SELECT DISTINCT unnest(shown) AS id) s ON s.id = q.client_id
         GROUP BY s.id)
    SELECT c.id, c.clients, c.waiting, c.running, c.timers, c.idle, c.oldest_at, l.max_running
      FROM counted c LEFT JOIN public.client_limits l ON l.client_id = c.id
     ORDER BY c.id IS NULL DESC, c.oldest_at NULLS LAST, c.running DESC, c.id
     LIMIT most
$$;
