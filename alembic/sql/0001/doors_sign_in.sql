-- Before someone is signed in there is no tenant. These look-ups give ids and what a request needs to know; no password
-- hash, no second factor: those are read in a tenant session of the account's home.

CREATE FUNCTION doors.account_by_email(key text)
    RETURNS TABLE (client_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT a.client_id, a.id FROM public.accounts a WHERE a.email_key = key
$$;

CREATE FUNCTION doors.session_by_hash(hash bytea)
    RETURNS TABLE (client_id uuid, id uuid, account_id uuid, created_at timestamptz, last_seen_at timestamptz,
                   expires_at timestamptz, absolute_expires_at timestamptz, replaced_by uuid, revoked_at timestamptz,
                   stepped_up_at timestamptz, email text, name text, locale text, theme text,
                   account_disabled_at timestamptz, now timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT s.client_id, s.id, s.account_id, s.created_at, s.last_seen_at, s.expires_at, s.absolute_expires_at,
           s.replaced_by, s.revoked_at, s.stepped_up_at, a.email, a.name, a.locale, a.theme, a.disabled_at,
           clock_timestamp()
      FROM public.sessions s JOIN public.accounts a ON a.client_id = s.client_id AND a.id = s.account_id
     WHERE s.token_hash = hash
$$;

CREATE FUNCTION doors.token_by_hash(hash bytea)
    RETURNS TABLE (client_id uuid, id uuid, account_id uuid, clients uuid[], expires_at timestamptz,
                   revoked_at timestamptz, last_used_at timestamptz, email text, name text, locale text,
                   account_disabled_at timestamptz, now timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT t.client_id, t.id, t.account_id, t.clients, t.expires_at, t.revoked_at, t.last_used_at, a.email, a.name,
           a.locale, a.disabled_at, clock_timestamp()
      FROM public.api_tokens t JOIN public.accounts a ON a.client_id = t.client_id AND a.id = t.account_id
     WHERE t.token_hash = hash
$$;

CREATE FUNCTION doors.client_by_slug(wanted text)
    RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT c.client_id FROM public.clients c WHERE c.slug = wanted
$$;

CREATE FUNCTION doors.clients_of(account uuid)
    RETURNS TABLE (client_id uuid, slug text, name text, colour text, tags text[], is_msp boolean, role text,
                   archived_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT c.client_id, c.slug, c.name, c.colour, c.tags, c.is_msp, m.role, c.archived_at
      FROM public.memberships m JOIN public.clients c ON c.client_id = m.client_id
     WHERE m.account_id = account
     ORDER BY c.is_msp DESC, lower(c.name)
$$;

-- Who may enter the present client. Accounts live in their home client, so a tenant session cannot name them itself.
CREATE FUNCTION doors.members()
    RETURNS TABLE (account_id uuid, home uuid, email text, name text, role text, created_at timestamptz,
                   disabled_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT m.account_id, a.client_id, a.email, a.name, m.role, m.created_at, a.disabled_at
      FROM public.memberships m JOIN public.accounts a ON a.id = m.account_id
     WHERE m.client_id = (SELECT NULLIF(current_setting('app.current_tenant', true), '')::uuid)
     ORDER BY lower(a.name), a.email
$$;
