-- What the end of a run leaves behind, in one function: its words, and that it has ended, for whoever listens. Written
-- by the database itself, so that no way of ending a run forgets it. With the rights of whoever writes, under row-level
-- security. Every name says where it is, so that no search path need be set for each call.
CREATE FUNCTION opsloom_run_ended() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    IF NEW.finished_at IS NOT NULL AND (TG_OP = 'INSERT' OR OLD.finished_at IS DISTINCT FROM NEW.finished_at)
       -- What has none of these has no words, and the statement costs as much as that which ended the run.
       AND (NEW.label <> '' OR NEW.inputs <> '{}' OR NEW.reason IS NOT NULL)
    THEN
        INSERT INTO public.run_words (client_id, word, run_id)
        SELECT NEW.client_id, found.word, NEW.id
          FROM public.opsloom_words(NEW.label, NEW.inputs, NEW.reason) AS found (word)
        ON CONFLICT DO NOTHING;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state IS DISTINCT FROM NEW.state AND NEW.state IN ('succeeded', 'failed', 'cancelled')
       AND NEW.parent IS NULL AND NEW.only_node IS NULL
       AND (coalesce((NEW.extra #>> '{trigger,watch}')::boolean, false) OR EXISTS (
            SELECT FROM public.triggers t
             WHERE t.client_id = NEW.client_id AND t.enabled AND t.listens = 'run_ended'))
    THEN
        INSERT INTO public.happenings (client_id, id, kind, subject, details, depth)
        VALUES (NEW.client_id, pg_catalog.gen_random_uuid(), 'run_ended', NEW.id,
                pg_catalog.jsonb_build_object('state', NEW.state, 'reason', NEW.reason),
                coalesce((NEW.extra #>> '{trigger,depth}')::integer, 0));
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION opsloom_run_ended() FROM PUBLIC;
DROP TRIGGER note_end ON runs;
DROP TRIGGER runs_indexed ON runs;
DROP TRIGGER runs_indexed_at_once ON runs;
-- The condition is read anew for each statement that changes a state: it is as short as can be, and the function asks
-- exactly.
CREATE TRIGGER run_ended AFTER UPDATE OF state, finished_at ON runs FOR EACH ROW
    WHEN (NEW.finished_at IS NOT NULL OR NEW.state = ANY ('{succeeded,failed,cancelled}'))
    EXECUTE FUNCTION opsloom_run_ended();
CREATE TRIGGER run_ended_at_once AFTER INSERT ON runs FOR EACH ROW
    WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION opsloom_run_ended();
DROP FUNCTION note_run_end();
DROP FUNCTION opsloom_index_run();
