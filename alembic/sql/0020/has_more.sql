-- Whether there is more of a run than most have: results to reveal, approvals, forms, a run that reverses it or follows
-- it. Whoever reads a run would otherwise look for each of them, which costs more than the run itself. Of the runs that
-- there are, nobody has looked yet. With the rights of whoever writes, under row-level security; before the row, so that
-- the run is locked before the head of an audit chain is.
ALTER TABLE runs ADD COLUMN has_more boolean NOT NULL DEFAULT true;
ALTER TABLE runs ALTER COLUMN has_more SET DEFAULT false;
CREATE FUNCTION opsloom_more_of_run() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE public.runs r SET has_more = true
     WHERE r.client_id = NEW.client_id AND r.id = NEW.run_id AND NOT r.has_more;
    RETURN NEW;
END
$$;
CREATE FUNCTION opsloom_run_after_run() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE public.runs r SET has_more = true
     WHERE r.client_id = NEW.client_id AND r.id IN (NEW.of, NEW.follows) AND NOT r.has_more;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION opsloom_more_of_run() FROM PUBLIC;
REVOKE ALL ON FUNCTION opsloom_run_after_run() FROM PUBLIC;
CREATE TRIGGER more_of_run BEFORE INSERT ON approvals FOR EACH ROW EXECUTE FUNCTION opsloom_more_of_run();
CREATE TRIGGER more_of_run BEFORE INSERT ON forms FOR EACH ROW EXECUTE FUNCTION opsloom_more_of_run();
CREATE TRIGGER more_of_run BEFORE INSERT ON reveals FOR EACH ROW EXECUTE FUNCTION opsloom_more_of_run();
CREATE TRIGGER run_after_run BEFORE INSERT ON runs FOR EACH ROW
    WHEN (NEW.of IS NOT NULL OR NEW.follows IS NOT NULL) EXECUTE FUNCTION opsloom_run_after_run();
