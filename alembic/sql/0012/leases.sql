-- Leases that say which code holds them and when they were last heard. Without a version: a worker of before.
CREATE FUNCTION doors.register_worker(worker uuid, label text, part text, ttl_s double precision,
                                      code text DEFAULT '')
    RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    INSERT INTO public.worker_leases (worker_id, name, kind, expires_at, fence, code, heard_at)
    VALUES (worker, label, part, clock_timestamp() + make_interval(secs => ttl_s), nextval('public.run_fence'), code,
            clock_timestamp())
    RETURNING fence
$$;

-- False: the lease ran out or was taken away. The worker must stop and begin again under a new id.
CREATE OR REPLACE FUNCTION doors.renew_worker(worker uuid, ttl_s double precision)
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    UPDATE public.worker_leases l
       SET expires_at = clock_timestamp() + make_interval(secs => ttl_s), heard_at = clock_timestamp()
     WHERE l.worker_id = worker AND l.expires_at > clock_timestamp();
    RETURN FOUND;
END
$$;
