-- What the scheduler has to look at: triggers whose time has come, and (without a trigger) clients in which something
-- has happened. The moment is a variable, so that the index ends the search.
CREATE FUNCTION doors.due_triggers(most integer)
    RETURNS TABLE (client_id uuid, trigger_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
        SELECT t.client_id, t.id FROM public.triggers t WHERE t.next_at <= moment ORDER BY t.next_at LIMIT most;
    RETURN QUERY
        SELECT DISTINCT h.client_id, NULL::uuid
          FROM (SELECT n.client_id FROM public.happenings n
                 WHERE n.ready_at <= moment ORDER BY n.ready_at LIMIT most) h;
END
$$;
