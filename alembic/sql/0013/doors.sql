-- One client of an account, by short name or by id: what every request asks, so it must not read all the others.
CREATE FUNCTION doors.membership(account uuid, wanted text, id uuid)
    RETURNS TABLE (client_id uuid, slug text, name text, colour text, tags text[], is_msp boolean, role text,
                   archived_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT c.client_id, c.slug, c.name, c.colour, c.tags, c.is_msp, m.role, c.archived_at
      FROM public.clients c JOIN public.memberships m ON m.client_id = c.client_id AND m.account_id = account
     WHERE c.slug = wanted OR c.client_id = membership.id
     ORDER BY c.slug = wanted DESC
     LIMIT 1
$$;
