-- The clients, and after how many days the steps of their runs are archived.
CREATE FUNCTION doors.history_clients(usual integer)
    RETURNS TABLE (client_id uuid, days integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT c.client_id, coalesce(l.history_days, usual)
      FROM public.clients c LEFT JOIN public.client_limits l ON l.client_id = c.client_id
     ORDER BY c.client_id
$$;

-- Remove the steps and plans of archived runs of the present client; no other's, and of no run that is not archived.
CREATE FUNCTION doors.drop_history(runs uuid[])
    RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    present CONSTANT uuid := NULLIF(current_setting('app.current_tenant', true), '')::uuid;
    dropped integer;
BEGIN
    DELETE FROM public.run_plans p USING public.runs r
     WHERE p.client_id = present AND r.client_id = present AND r.id = ANY (drop_history.runs)
       AND r.archived_at IS NOT NULL AND p.run_id = r.id;
    DELETE FROM public.step_events e USING public.runs r
     WHERE e.client_id = present AND r.client_id = present AND r.id = ANY (drop_history.runs)
       AND r.archived_at IS NOT NULL AND e.run_id = r.id;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END
$$;

-- Whether nobody has a step between two runs' ids. Says so of all clients together.
CREATE FUNCTION doors.history_is_empty(first uuid, after uuid)
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM public.step_events e WHERE e.run_id >= first AND e.run_id < after);
END
$$;
