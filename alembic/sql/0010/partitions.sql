-- Months of step_events that are over by `behind` months and hold nothing any more. Owned by the owner, because only the
-- owner of a table may drop its partitions. Under forced row-level security the owner sees no row, so it asks the door.
-- It gives up where somebody uses the table just now, and is called again.
CREATE FUNCTION doors.drop_empty_partitions(behind integer DEFAULT 1) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET lock_timeout = '200ms'
AS $$
DECLARE
    part    record;
    month   timestamptz;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'public.step_events'::regclass AND c.relname ~ '^step_events_\d{4}_\d{2}$'
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
