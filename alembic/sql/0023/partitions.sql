-- One month of step_events, with the steps of it that the default partition holds: those of runs from a clock that was
-- ahead. They are moved before the month becomes a partition, as it could not become one while the default partition
-- holds any. Gives whether it was made; it is not where so many are there already that moving them would hold up all
-- who write: they stay, and nothing else is wrong with them.
CREATE FUNCTION make_history_month(part text, first uuid, after uuid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    most    CONSTANT integer := 100000;
    found   integer;
    columns text;
BEGIN
    -- In the order in which drop_empty_partitions takes them, so that neither waits for the other.
    LOCK TABLE ONLY public.step_events IN SHARE UPDATE EXCLUSIVE MODE;
    LOCK TABLE public.step_events_default IN ACCESS EXCLUSIVE MODE;
    -- Under forced row-level security the owner sees no row. It is forced again before anybody else sees the table.
    ALTER TABLE public.step_events_default NO FORCE ROW LEVEL SECURITY;
    SELECT count(*) INTO found
      FROM (SELECT FROM public.step_events_default e WHERE e.run_id >= first AND e.run_id < after LIMIT most + 1) AS here;
    IF found <= most THEN
        EXECUTE format('CREATE TABLE public.%I (LIKE public.step_events INCLUDING ALL)', part);
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = 'public.step_events'::regclass AND a.attnum > 0 AND NOT a.attisdropped
           AND a.attgenerated = '';
        EXECUTE format('WITH moved AS (DELETE FROM public.step_events_default e'
                       ' WHERE e.run_id >= $1 AND e.run_id < $2 RETURNING *)'
                       ' INSERT INTO public.%1$I (%2$s) SELECT %2$s FROM moved', part, columns) USING first, after;
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
        EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
        EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC', part);
        PERFORM public.copy_policies('public.step_events', format('public.%I', part)::regclass);
        EXECUTE format('ALTER TABLE public.step_events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                       part, first, after);
    ELSE
        RAISE WARNING '% is not made: more than % of its rows stand in step_events_default', part, most;
    END IF;
    ALTER TABLE public.step_events_default FORCE ROW LEVEL SECURITY;
    RETURN found <= most;
END
$$;
REVOKE ALL ON FUNCTION make_history_month(text, uuid, uuid) FROM PUBLIC;

-- As before, but no month keeps another from being made, and none is waited for long: whoever writes meanwhile waits
-- behind it. It is long enough for a vacuum to give way. What was not made is told as a warning and made the next time.
CREATE OR REPLACE FUNCTION doors.maintain_partitions(ahead integer DEFAULT 3) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET lock_timeout = '2s'
AS $$
DECLARE
    month  timestamptz := date_trunc('month', now(), 'UTC');
    part   text;
    made   integer := 0;
BEGIN
    FOR i IN 0 .. least(greatest(ahead, 0), 24) LOOP
        part := 'step_events_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass('public.' || part) IS NULL THEN
            BEGIN
                IF public.make_history_month(part, public.uuid7_at(month), public.uuid7_at(month + interval '1 month'))
                THEN
                    made := made + 1;
                END IF;
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING '% is not made: %', part, SQLERRM;
                EXIT WHEN SQLSTATE = '55P03';
            END;
        END IF;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END
$$;
