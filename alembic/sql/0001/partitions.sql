-- Naming a partition directly skips its parent's policies, so each has the same ones. Deparsed under an empty search
-- path, names in them are qualified.
CREATE FUNCTION copy_policies(parent regclass, part regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    pol record;
BEGIN
    FOR pol IN
        SELECT p.polname,
               CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                             WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS verb,
               CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END AS mode,
               (SELECT string_agg(quote_ident(r.rolname), ', ') FROM pg_catalog.pg_roles r
                 WHERE r.oid = ANY (p.polroles)) AS names,
               pg_get_expr(p.polqual, p.polrelid) AS qual,
               pg_get_expr(p.polwithcheck, p.polrelid) AS checked
          FROM pg_catalog.pg_policy p
         WHERE p.polrelid = parent
    LOOP
        EXECUTE format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', pol.polname, part, pol.mode, pol.verb, pol.names)
             || coalesce(' USING (' || pol.qual || ')', '')
             || coalesce(' WITH CHECK (' || pol.checked || ')', '');
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION copy_policies(regclass, regclass) FROM PUBLIC;

-- The smallest UUIDv7 of a moment.
CREATE FUNCTION uuid7_at(moment timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT rpad(lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;
REVOKE ALL ON FUNCTION uuid7_at(timestamptz) FROM PUBLIC;

-- Months of step_events, from the present one to `ahead` months from now. Owned by the owner, because only the owner of
-- a table may add to its partitions; it takes a number and gives a number.
CREATE FUNCTION doors.maintain_partitions(ahead integer DEFAULT 3) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    month  timestamptz := date_trunc('month', now(), 'UTC');
    part   text;
    made   integer := 0;
BEGIN
    FOR i IN 0 .. least(greatest(ahead, 0), 24) LOOP
        part := 'step_events_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass('public.' || part) IS NULL THEN
            EXECUTE format('CREATE TABLE public.%I PARTITION OF public.step_events FOR VALUES FROM (%L) TO (%L)',
                           part, public.uuid7_at(month), public.uuid7_at(month + interval '1 month'));
            EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
            EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
            EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC', part);
            PERFORM public.copy_policies('public.step_events', format('public.%I', part)::regclass);
            made := made + 1;
        END IF;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION doors.maintain_partitions(integer) FROM PUBLIC;
