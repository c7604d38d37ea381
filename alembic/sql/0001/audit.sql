-- What is written in the audit stays as written, for everybody, the owner included.
CREATE FUNCTION refuse_audit_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are only ever added' USING ERRCODE = 'OL002';
END
$$;
REVOKE ALL ON FUNCTION refuse_audit_change() FROM PUBLIC;

DO $$
DECLARE
    part text;
BEGIN
    FOR i IN 0..7 LOOP
        part := 'audit_events_' || i;
        EXECUTE format('CREATE TABLE %I PARTITION OF audit_events FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, i);
        -- TRUNCATE triggers are not handed down to partitions.
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I
                        EXECUTE FUNCTION refuse_audit_change()', part);
    END LOOP;
END
$$;
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_events EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_checkpoints EXECUTE FUNCTION refuse_audit_change();
