-- Concurrency keys. A slot is taken by a row of run_queue, and that row is there exactly as long as its run is not over:
-- how many slots are taken is counted from live runs, so none can leak, whatever ends a run or its worker.
-- ``slot`` is the key's digest (the queue holds no business data), ``slot_held`` says whether the run has it or waits.
CREATE FUNCTION lock_slot(client uuid, key_digest bytea) RETURNS void
    LANGUAGE sql SET search_path = ''
AS $$
    SELECT pg_catalog.pg_advisory_xact_lock(
        pg_catalog.hashtextextended(client::text || pg_catalog.encode(key_digest, 'hex'), 0))
$$;

-- The oldest run that waits for the key may look whether there is room.
CREATE FUNCTION wake_next(client uuid, key_digest bytea) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    next_run uuid;
    ignored  integer;
BEGIN
    SELECT q.run_id INTO next_run FROM public.run_queue q
     WHERE q.client_id = client AND q.slot = key_digest AND NOT q.slot_held ORDER BY q.run_id LIMIT 1;
    IF FOUND THEN
        ignored := public.wake_run(client, next_run);
    END IF;
END
$$;

-- Take a slot of a key, or wait for one in the order of starts. Gives whether the run has it now, and which runs are
-- before it. Called in a tenant session, before any row is locked.
CREATE FUNCTION take_slot(client uuid, run uuid, key text, most integer, OUT held boolean, OUT ahead uuid[])
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    key_digest CONSTANT bytea := pg_catalog.sha256(pg_catalog.convert_to(take_slot.key, 'UTF8'));
BEGIN
    PERFORM public.lock_slot(client, key_digest);
    SELECT q.slot_held INTO held FROM public.run_queue q WHERE q.client_id = client AND q.run_id = run AND q.slot_held;
    IF held THEN
        RETURN;
    END IF;
    SELECT coalesce(pg_catalog.array_agg(q.run_id ORDER BY q.slot_held DESC, q.run_id), '{}') INTO ahead
      FROM public.run_queue q
     WHERE q.client_id = client AND q.slot = key_digest AND q.run_id <> run AND (q.slot_held OR q.run_id < run);
    held := pg_catalog.cardinality(ahead) < most;
    UPDATE public.run_queue q SET slot = key_digest, slot_held = held WHERE q.client_id = client AND q.run_id = run;
END
$$;

-- Wait no longer (a run that is paused while it waits): the next one may look.
CREATE FUNCTION leave_slot(client uuid, run uuid, key text) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    key_digest CONSTANT bytea := pg_catalog.sha256(pg_catalog.convert_to(leave_slot.key, 'UTF8'));
BEGIN
    PERFORM public.lock_slot(client, key_digest);
    UPDATE public.run_queue q SET slot = NULL
     WHERE q.client_id = client AND q.run_id = run AND q.slot = key_digest AND NOT q.slot_held;
    IF FOUND THEN
        PERFORM public.wake_next(client, key_digest);
    END IF;
END
$$;

-- The slot of a run that ends goes to the run that takes its work back, in the transaction of the end.
CREATE FUNCTION give_slot(client uuid, run uuid, key text) RETURNS void
    LANGUAGE sql SET search_path = ''
AS $$
    UPDATE public.run_queue q
       SET slot = pg_catalog.sha256(pg_catalog.convert_to(key, 'UTF8')), slot_held = true
     WHERE q.client_id = client AND q.run_id = run
$$;
