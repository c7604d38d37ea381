-- As before, and what is taken from a worker is the first that its client's next claim gets: it had its turn already,
-- and would otherwise wait for all that was started while it was being walked. This once: what is lost again with the
-- worker that took it up may be what its workers die of, and goes behind the others.
CREATE OR REPLACE FUNCTION doors.drop_worker(worker uuid)
    RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    freed integer;
BEGIN
    DELETE FROM public.worker_leases l WHERE l.worker_id = worker;
    WITH firsts AS MATERIALIZED (
        SELECT held.client_id, coalesce(min(w.ready_at) - interval '1 microsecond', clock_timestamp()) AS at
          FROM (SELECT DISTINCT q.client_id FROM public.run_queue q WHERE q.worker_id = worker) AS held
          LEFT JOIN public.run_queue w ON w.client_id = held.client_id AND w.due AND w.worker_id IS NULL
         GROUP BY held.client_id)
    UPDATE public.run_queue q
       SET worker_id = NULL, claimed_at = NULL, due = true,
           ready_at = CASE WHEN q.abandoned IS NULL THEN firsts.at ELSE clock_timestamp() END,
           abandoned = coalesce(q.abandoned, 'ended')
      FROM firsts WHERE q.client_id = firsts.client_id AND q.worker_id = worker;
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END
$$;

CREATE OR REPLACE FUNCTION doors.reap_dead_workers(OUT workers integer, OUT runs integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    WITH dead AS MATERIALIZED (
        SELECT l.worker_id FROM public.worker_leases l WHERE l.expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED)
    DELETE FROM public.worker_leases l USING dead WHERE l.worker_id = dead.worker_id;
    GET DIAGNOSTICS workers = ROW_COUNT;
    WITH held AS MATERIALIZED (
        SELECT q.client_id, q.run_id FROM public.run_queue q
         WHERE q.worker_id IS NOT NULL
           AND NOT EXISTS (SELECT FROM public.worker_leases l WHERE l.worker_id = q.worker_id)
           FOR UPDATE SKIP LOCKED),
    firsts AS MATERIALIZED (
        SELECT c.client_id, coalesce(min(w.ready_at) - interval '1 microsecond', clock_timestamp()) AS at
          FROM (SELECT DISTINCT held.client_id FROM held) AS c
          LEFT JOIN public.run_queue w ON w.client_id = c.client_id AND w.due AND w.worker_id IS NULL
         GROUP BY c.client_id)
    UPDATE public.run_queue q
       SET worker_id = NULL, claimed_at = NULL, due = true,
           ready_at = CASE WHEN q.abandoned IS NULL THEN firsts.at ELSE clock_timestamp() END, abandoned = 'lapsed'
      FROM held JOIN firsts ON firsts.client_id = held.client_id
     WHERE q.client_id = held.client_id AND q.run_id = held.run_id;
    GET DIAGNOSTICS runs = ROW_COUNT;
END
$$;
