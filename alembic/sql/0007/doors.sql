-- Clients whose audit trail has events that no checkpoint has signed yet. Only numbers are compared: no event is read.
CREATE FUNCTION doors.unsigned_chains(most integer)
    RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT h.client_id FROM public.audit_heads h
     WHERE h.seq > coalesce((SELECT max(c.seq) FROM public.audit_checkpoints c WHERE c.client_id = h.client_id), 0)
     LIMIT most
$$;
