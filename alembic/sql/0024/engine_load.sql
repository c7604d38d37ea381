-- Everything a worker needs to walk claimed runs of one client, in that client's eyes, as JSON:
--
--   {"now", "client", "connections", "runs": [{"run", "document", "fence", "wakeups", ...}, ...]}
--
-- What belongs to the client is there once, and where "shared" is true a run has the document of the run before it and
-- none of its own: rows of a table are many runs of one. A run that is not there is left out. There is no look for the history, the plan and the questions of a
-- run that was never begun: the first commit that holds any says that it is. Only a row of a batch is planned and asked
-- about before. It is built as json, which is text: jsonb would sort what is sent as text in any case. Row-level
-- security decides what is seen; the tenant is set for this transaction only. Every name says where it is, so that no
-- search path need be set for each call.
CREATE FUNCTION opsloom_engine_load(p_client uuid, p_runs uuid[]) RETURNS json
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
  found record;
  r public.runs%ROWTYPE;
  v public.workflow_versions%ROWTYPE;
  origin public.runs%ROWTYPE;
  shown boolean := false;
  shared boolean;
  past pg_catalog.jsonb;
  asked pg_catalog.jsonb;
  own pg_catalog.json;
  agreed pg_catalog.json;
  reversed pg_catalog.json;
  loaded pg_catalog.json[] := '{}';
BEGIN
  PERFORM pg_catalog.set_config('app.current_tenant', p_client::pg_catalog.text, true);
  FOR found IN
    SELECT s AS run, q.fence, q.wakeups, q.abandoned FROM public.runs s
      LEFT JOIN public.run_queue q ON q.client_id = p_client AND q.run_id = s.id
     WHERE s.client_id = p_client AND s.id = ANY (p_runs)
  LOOP
    r := found.run;
    past := '[]';
    asked := '[]';
    own := NULL;
    agreed := NULL;
    reversed := NULL;
    shared := shown AND v.workflow_id = r.workflow_id AND v.version = r.version AND NOT r.extra ? 'document';
    IF shared IS NOT TRUE THEN
      SELECT * INTO v FROM public.workflow_versions w
       WHERE w.client_id = p_client AND w.workflow_id = r.workflow_id AND w.version = r.version;
      shown := NOT r.extra ? 'document';
    END IF;
    IF r.started_at IS NOT NULL THEN
      past := public.opsloom_run_events(p_client, r.id);
    END IF;
    IF r.started_at IS NOT NULL OR r.parent IS NOT NULL THEN
      SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a) ORDER BY a.id), '[]') INTO asked
        FROM public.approvals a
       WHERE a.client_id = p_client AND a.run_id IN (r.id, r.parent);
      SELECT pg_catalog.json_build_object('plan', p.plan, 'seal', p.seal) INTO own FROM public.run_plans p
       WHERE p.client_id = p_client AND p.run_id = r.id;
    END IF;
    IF r.sealed_plan IS NOT NULL THEN
      SELECT pg_catalog.json_build_object('plan', p.plan, 'seal', p.seal) INTO agreed FROM public.run_plans p
       WHERE p.client_id = p_client AND p.run_id = r.sealed_plan;
    END IF;
    IF r.of IS NOT NULL THEN
      SELECT * INTO origin FROM public.runs WHERE client_id = p_client AND id = r.of;
      reversed := pg_catalog.json_build_object(
        'run', pg_catalog.to_json(origin),
        'document', public.opsloom_run_document(p_client, origin),
        'events', public.opsloom_run_events(p_client, r.of),
        'connections', (SELECT p.plan -> 'connections' FROM public.run_plans p
                         WHERE p.client_id = p_client AND p.run_id = r.of));
    END IF;
    loaded := pg_catalog.array_append(loaded, pg_catalog.json_build_object(
      'run', pg_catalog.to_json(r),
      'fence', found.fence,
      'wakeups', found.wakeups,
      'abandoned', found.abandoned,
      'shared', shared IS TRUE,
      'document', CASE WHEN shared IS NOT TRUE THEN coalesce(r.extra -> 'document', v.document) END,
      'author', v.author_id,
      'publisher', v.published_by,
      'events', past,
      'plan', own,
      'sealed', agreed,
      'approvals', asked,
      'origin', reversed));
  END LOOP;
  RETURN pg_catalog.json_build_object(
    'now', pg_catalog.clock_timestamp(),
    'connections', (SELECT coalesce(pg_catalog.json_object_agg(c.alias, pg_catalog.json_build_object(
                      'id', c.id, 'platform', c.platform, 'tenant', c.platform_tenant, 'state', c.state)), '{}')
                    FROM public.connections c WHERE c.client_id = p_client AND c.removed_at IS NULL),
    'client', (SELECT pg_catalog.json_build_object(
                      'slug', c.slug, 'name', c.name, 'variables', c.variables, 'policy', c.policy,
                      'limited', EXISTS (SELECT FROM public.client_limits l
                                          WHERE l.client_id = p_client AND l.max_running IS NOT NULL))
               FROM public.clients c WHERE c.client_id = p_client),
    'runs', pg_catalog.array_to_json(loaded));
END $$;
