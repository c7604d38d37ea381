-- That people are asked something, or reminded of it, may start what tells them. Written by the database itself, as what
-- has been decided is: no way of asking forgets it, and where nobody listens, nothing is written.
CREATE FUNCTION opsloom_people_asked() RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    heard pg_catalog.text := CASE TG_OP WHEN 'INSERT' THEN 'people_asked' ELSE 'people_reminded' END;
BEGIN
    IF EXISTS (SELECT FROM public.triggers t
                WHERE t.client_id = NEW.client_id AND t.enabled AND t.listens = heard)
    THEN
        INSERT INTO public.happenings (client_id, id, kind, subject, details, depth)
        VALUES (NEW.client_id, pg_catalog.gen_random_uuid(), heard, NEW.id,
                pg_catalog.jsonb_build_object('of', TG_TABLE_NAME),
                coalesce((SELECT (r.extra #>> '{trigger,depth}')::integer FROM public.runs r
                           WHERE r.client_id = NEW.client_id AND r.id = NEW.run_id), 0));
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION opsloom_people_asked() FROM PUBLIC;
CREATE TRIGGER people_asked AFTER INSERT ON approvals FOR EACH ROW
    WHEN (NEW.state = 'open') EXECUTE FUNCTION opsloom_people_asked();
CREATE TRIGGER people_asked AFTER INSERT ON forms FOR EACH ROW
    WHEN (NEW.state = 'open') EXECUTE FUNCTION opsloom_people_asked();
CREATE TRIGGER people_reminded AFTER UPDATE OF reminded_at ON approvals FOR EACH ROW
    WHEN (OLD.reminded_at IS NULL AND NEW.reminded_at IS NOT NULL) EXECUTE FUNCTION opsloom_people_asked();
CREATE TRIGGER people_reminded AFTER UPDATE OF reminded_at ON forms FOR EACH ROW
    WHEN (OLD.reminded_at IS NULL AND NEW.reminded_at IS NOT NULL) EXECUTE FUNCTION opsloom_people_asked();
