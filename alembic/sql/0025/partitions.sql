-- A part of step_events from one run's id to another, with the steps of it that the default partition holds. The caller
-- has both locked, and sees the default partition's rows.
CREATE FUNCTION attach_history(part text, first uuid, after uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    columns text;
BEGIN
    EXECUTE format('CREATE TABLE public.%I (LIKE public.step_events INCLUDING ALL)', part);
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = 'public.step_events'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    EXECUTE format('WITH moved AS (DELETE FROM public.step_events_default e'
                   ' WHERE e.run_id >= $1 AND e.run_id < $2 RETURNING *)'
                   ' INSERT INTO public.%1$I (%2$s) SELECT %2$s FROM moved', part, columns) USING first, after;
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
    EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC', part);
    PERFORM public.copy_policies('public.step_events', format('public.%I', part)::regclass);
    EXECUTE format('ALTER TABLE public.step_events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   part, first, after);
END
$$;
REVOKE ALL ON FUNCTION attach_history(text, uuid, uuid) FROM PUBLIC;

-- The smallest UUIDv7 of the millisecond of a UUIDv7, or of one so many milliseconds later.
CREATE FUNCTION uuid7_near(run uuid, later integer) RETURNS uuid
    LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT rpad(lpad(to_hex(('x' || left(replace(run::text, '-', ''), 12))::bit(48)::bigint + later), 12, '0'),
                32, '0')::uuid
$$;
REVOKE ALL ON FUNCTION uuid7_near(uuid, integer) FROM PUBLIC;

-- One month of step_events. Steps of it that the default partition holds (of runs from a clock that was ahead, or from
-- before the month was made) are moved, where they are few. Where they are so many that moving them would hold up all who
-- write, they stay where they are until they are archived, and the month is what comes after the last of them, with what
-- comes before the first of them as a part of its own: no step is moved then. Gives whether anything was made.
CREATE OR REPLACE FUNCTION make_history_month(part text, first uuid, after uuid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    most CONSTANT integer := 100000;
    head CONSTANT text := part || '_head';
    found integer;
    last  uuid;
    made  boolean := false;
BEGIN
    -- In the order in which drop_empty_partitions takes them, so that neither waits for the other.
    LOCK TABLE ONLY public.step_events IN SHARE UPDATE EXCLUSIVE MODE;
    LOCK TABLE public.step_events_default IN ACCESS EXCLUSIVE MODE;
    -- Under forced row-level security the owner sees no row. It is forced again before anybody else sees the table.
    ALTER TABLE public.step_events_default NO FORCE ROW LEVEL SECURITY;
    SELECT count(*) INTO found
      FROM (SELECT FROM public.step_events_default e WHERE e.run_id >= first AND e.run_id < after LIMIT most + 1) AS here;
    IF found <= most THEN
        PERFORM public.attach_history(part, first, after);
        made := true;
    ELSE
        SELECT public.uuid7_near(e.run_id, 1) INTO last FROM public.step_events_default e
         WHERE e.run_id >= first AND e.run_id < after ORDER BY e.run_id DESC LIMIT 1;
        IF last < after THEN
            PERFORM public.attach_history(part, last, after);
            made := true;
        END IF;
        SELECT public.uuid7_near(e.run_id, 0) INTO last FROM public.step_events_default e
         WHERE e.run_id >= first AND e.run_id < after ORDER BY e.run_id LIMIT 1;
        IF first < last AND to_regclass('public.' || head) IS NULL THEN
            PERFORM public.attach_history(head, first, last);
            made := true;
        END IF;
        RAISE WARNING '% is made in part: more than % of its rows stay in step_events_default', part, most;
    END IF;
    ALTER TABLE public.step_events_default FORCE ROW LEVEL SECURITY;
    RETURN made;
END
$$;

-- As before, for the parts of months too.
CREATE OR REPLACE FUNCTION doors.drop_empty_partitions(behind integer DEFAULT 1) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET lock_timeout = '200ms'
AS $$
DECLARE
    part    record;
    month   timestamptz;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'public.step_events'::regclass AND c.relname ~ '^step_events_\d{4}_\d{2}(_head)?$'
         ORDER BY c.relname
    LOOP
        month := make_timestamptz(substr(part.relname, 13, 4)::integer, substr(part.relname, 18, 2)::integer, 1,
                                  0, 0, 0, 'UTC');
        EXIT WHEN month + make_interval(months => 1 + greatest(behind, 0)) > now();
        CONTINUE WHEN NOT doors.history_is_empty(public.uuid7_at(month), public.uuid7_at(month + interval '1 month'));
        BEGIN
            -- Looked at again once nobody else can write: the first look was without a lock.
            LOCK TABLE public.step_events IN ACCESS EXCLUSIVE MODE;
            IF doors.history_is_empty(public.uuid7_at(month), public.uuid7_at(month + interval '1 month')) THEN
                EXECUTE format('DROP TABLE public.%I', part.relname);
                dropped := dropped + 1;
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    RETURN dropped;
END
$$;
