-- Adds events to a client's chain and gives the number of the last: one statement, so that the lock on the head of the
-- chain is held for as short as can be. It runs with the caller's own rights, under row-level security. Every name says
-- where it is, so that no search path need be set for each call.
--
--   events   [{"at", "actor_id", "actor", "via", "ip", "action", "target", "outcome", "details", "head", "tail"}, ...]
--
-- What is hashed is the event's canonical JSON (app.core.chain), which the caller gives in two pieces: only its number,
-- between head and tail, and the hash before it, at the end, are known here.
CREATE OR REPLACE FUNCTION audit_append(client uuid, events jsonb)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    e      pg_catalog.jsonb;
    number bigint;
    former pg_catalog.bytea;
    latest pg_catalog.bytea;
BEGIN
    SELECT h.seq, h.hash INTO number, latest FROM public.audit_heads h WHERE h.client_id = client FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        -- The first event of a client; another first one may come at the same moment.
        INSERT INTO public.audit_heads AS h (client_id, seq, hash)
        VALUES (client, 0, pg_catalog.decode(pg_catalog.repeat('00', 32), 'hex'))
            ON CONFLICT (client_id) DO UPDATE SET seq = h.seq
            RETURNING h.seq, h.hash INTO number, latest;
    END IF;
    FOR i IN 0 .. pg_catalog.jsonb_array_length(events) - 1 LOOP
        e := events -> i;
        number := number + 1;
        former := latest;
        latest := pg_catalog.sha256(pg_catalog.convert_to(
            (e ->> 'head') || number || (e ->> 'tail') || pg_catalog.encode(former, 'hex') || '"}', 'UTF8'));
        INSERT INTO public.audit_events (client_id, seq, at, actor_id, actor, via, ip, action, target, outcome,
                                         details, prev_hash, hash)
        VALUES (client, number, (e ->> 'at')::pg_catalog.timestamptz, (e ->> 'actor_id')::pg_catalog.uuid,
                e ->> 'actor', e ->> 'via', e ->> 'ip', e ->> 'action', e ->> 'target', e ->> 'outcome',
                e -> 'details', former, latest);
    END LOOP;
    UPDATE public.audit_heads h SET seq = number, hash = latest WHERE h.client_id = client;
    RETURN number;
END
$$;
