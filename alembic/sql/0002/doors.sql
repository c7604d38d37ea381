-- The wake-up counters of what a worker holds: more than it has seen means that something was asked of the run.
CREATE FUNCTION doors.held_runs(worker uuid)
    RETURNS TABLE (client_id uuid, run_id uuid, wakeups integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT q.client_id, q.run_id, q.wakeups FROM public.run_queue q WHERE q.worker_id = worker
$$;
