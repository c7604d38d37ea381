-- As before, and no run that somebody else has locked is waited for: the next look finds it, since its worker has no
-- lease. Two that lock many runs in different orders would wait for each other.
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
           FOR UPDATE SKIP LOCKED)
    UPDATE public.run_queue q
       SET worker_id = NULL, claimed_at = NULL, due = true, ready_at = clock_timestamp(), abandoned = 'lapsed'
      FROM held WHERE q.client_id = held.client_id AND q.run_id = held.run_id;
    GET DIAGNOSTICS runs = ROW_COUNT;
END
$$;
