-- A timer whose time has come may be claimed. Gives how many there were and when the next one is due.
CREATE FUNCTION doors.due_timers(most integer DEFAULT 1000, OUT promoted integer, OUT next_at timestamptz)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = '' SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    WITH ripe AS MATERIALIZED (
        SELECT q.client_id, q.run_id FROM public.run_queue q
         WHERE q.ready_at IS NOT NULL AND NOT q.due AND q.worker_id IS NULL AND q.ready_at <= clock_timestamp()
         ORDER BY q.ready_at LIMIT most FOR UPDATE SKIP LOCKED)
    UPDATE public.run_queue q SET due = true FROM ripe
     WHERE q.client_id = ripe.client_id AND q.run_id = ripe.run_id;
    GET DIAGNOSTICS promoted = ROW_COUNT;
    SELECT q.ready_at INTO next_at FROM public.run_queue q
     WHERE q.ready_at IS NOT NULL AND NOT q.due AND q.worker_id IS NULL ORDER BY q.ready_at LIMIT 1;
END
$$;

-- Runs for a worker, fairly across clients: it goes round the clients that have something due, from where it stopped
-- last time, and takes one of each; when a round leaves room, the next shares it between those it met. It asks the index
-- for the next client, so the cost is of what it takes, not of the backlog.
CREATE FUNCTION doors.claim_runs(worker uuid, wanted integer)
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
            RETURN QUERY
                WITH picked AS MATERIALIZED (
                    SELECT q.client_id, q.run_id FROM public.run_queue q
                     WHERE q.client_id = nearest AND q.due AND q.worker_id IS NULL
                     ORDER BY q.priority DESC, q.ready_at
                     LIMIT least(share, wanted - taken) FOR UPDATE SKIP LOCKED)
                UPDATE public.run_queue q
                   SET worker_id = worker, fence = nextval('public.run_fence'), claimed_at = clock_timestamp(),
                       ready_at = NULL, due = false
                  FROM picked
                 WHERE q.client_id = picked.client_id AND q.run_id = picked.run_id
                RETURNING q.client_id, q.run_id, q.fence, q.wakeups;
            GET DIAGNOSTICS got = ROW_COUNT;
            taken := taken + got;
            met := met + 1;
            EXIT WHEN taken >= wanted;
        END LOOP;
        EXIT WHEN taken >= wanted OR taken = before;
        share := greatest(1, (wanted - taken) / met);
    END LOOP;
    UPDATE public.worker_leases l SET ring = here WHERE l.worker_id = worker AND l.ring IS DISTINCT FROM here;
END
$$;

-- Give a run back without a commit of its own (a worker that stops). False where it is no longer the worker's.
CREATE FUNCTION doors.release_run(client uuid, run uuid, worker uuid, fence bigint, seen_wakeups integer,
                                  ready_at timestamptz)
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    UPDATE public.run_queue q
       SET worker_id = NULL, claimed_at = NULL, due = false,
           ready_at = CASE WHEN q.wakeups = seen_wakeups THEN release_run.ready_at ELSE clock_timestamp() END
     WHERE q.client_id = client AND q.run_id = run AND q.worker_id = worker AND q.fence = release_run.fence;
    RETURN FOUND;
END
$$;

-- Leases. A worker lives while its lease does; a new name is a new worker.
CREATE FUNCTION doors.register_worker(worker uuid, label text, part text, ttl_s double precision)
    RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    INSERT INTO public.worker_leases (worker_id, name, kind, expires_at, fence)
    VALUES (worker, label, part, clock_timestamp() + make_interval(secs => ttl_s), nextval('public.run_fence'))
    RETURNING fence
$$;

-- False: the lease ran out or was taken away. The worker must stop and begin again under a new id.
CREATE FUNCTION doors.renew_worker(worker uuid, ttl_s double precision)
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    UPDATE public.worker_leases l SET expires_at = clock_timestamp() + make_interval(secs => ttl_s)
     WHERE l.worker_id = worker AND l.expires_at > clock_timestamp();
    RETURN FOUND;
END
$$;

-- An orderly end, or a proven one: what the worker still holds is ready for others at once, and they need not wait for
-- the deadlines of its calls, because it sends nothing more.
CREATE FUNCTION doors.drop_worker(worker uuid)
    RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    freed integer;
BEGIN
    DELETE FROM public.worker_leases l WHERE l.worker_id = worker;
    UPDATE public.run_queue q
       SET worker_id = NULL, claimed_at = NULL, due = true, ready_at = clock_timestamp(),
           abandoned = coalesce(q.abandoned, 'ended')
     WHERE q.worker_id = worker;
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END
$$;

-- What dead workers held is ready again; the next claim gives it a new fence, so the dead one's writes are refused.
-- A lease that ran out proves nothing: the worker may only be slow, so its calls' deadlines are waited for.
CREATE FUNCTION doors.reap_dead_workers(OUT workers integer, OUT runs integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    WITH dead AS MATERIALIZED (
        SELECT l.worker_id FROM public.worker_leases l WHERE l.expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED)
    DELETE FROM public.worker_leases l USING dead WHERE l.worker_id = dead.worker_id;
    GET DIAGNOSTICS workers = ROW_COUNT;
    UPDATE public.run_queue q
       SET worker_id = NULL, claimed_at = NULL, due = true, ready_at = clock_timestamp(), abandoned = 'lapsed'
     WHERE q.worker_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM public.worker_leases l WHERE l.worker_id = q.worker_id);
    GET DIAGNOSTICS runs = ROW_COUNT;
END
$$;

-- One holder of a name at a time (the scheduler's lead). Gives the fence to whoever holds it, NULL to others.
CREATE FUNCTION doors.take_lead(wanted text, candidate uuid, ttl_s double precision)
    RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    INSERT INTO public.leaderships AS l (name, holder, fence, expires_at)
    VALUES (wanted, candidate, nextval('public.run_fence'), clock_timestamp() + make_interval(secs => ttl_s))
    ON CONFLICT (name) DO UPDATE
       SET holder = excluded.holder, expires_at = excluded.expires_at,
           fence = CASE WHEN l.holder = excluded.holder AND l.expires_at > clock_timestamp()
                        THEN l.fence ELSE excluded.fence END
     WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp()
    RETURNING l.fence
$$;

CREATE FUNCTION doors.lease_valid(worker uuid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM public.worker_leases l WHERE l.worker_id = worker AND l.expires_at > clock_timestamp());
END
$$;

-- Numbers for /metrics and the health page; none of them is of one client.
CREATE FUNCTION doors.metrics()
    RETURNS TABLE (due bigint, claimed bigint, timers bigint, idle bigint, oldest_due_s double precision,
                   workers bigint, schedulers bigint, expired_leases bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT count(*) FILTER (WHERE q.worker_id IS NULL AND q.ready_at <= clock_timestamp()),
           count(*) FILTER (WHERE q.worker_id IS NOT NULL),
           count(*) FILTER (WHERE q.worker_id IS NULL AND q.ready_at > clock_timestamp()),
           count(*) FILTER (WHERE q.worker_id IS NULL AND q.ready_at IS NULL),
           coalesce(extract(epoch FROM clock_timestamp()
                            - min(q.ready_at) FILTER (WHERE q.worker_id IS NULL AND q.ready_at <= clock_timestamp())),
                    0)::double precision,
           (SELECT count(*) FROM public.worker_leases WHERE kind = 'worker' AND expires_at > clock_timestamp()),
           (SELECT count(*) FROM public.worker_leases WHERE kind = 'scheduler' AND expires_at > clock_timestamp()),
           (SELECT count(*) FROM public.worker_leases WHERE expires_at <= clock_timestamp())
      FROM public.run_queue q
$$;
