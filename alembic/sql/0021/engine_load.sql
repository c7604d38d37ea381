-- Everything a worker needs to walk a claimed run, in one tenant's eyes. There is no look for the history, the plan and
-- the questions of a run that was never begun: the first commit that holds any says that it is. Only a row of a batch
-- is planned and asked about before. Row-level security decides what is seen; the tenant is set for this transaction
-- only. Every name says where it is, so that no search path need be set for each call.
CREATE OR REPLACE FUNCTION opsloom_engine_load(p_client uuid, p_run uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
  r public.runs%ROWTYPE;
  v record;
  past pg_catalog.jsonb := '[]';
  reversed pg_catalog.jsonb;
  agreed pg_catalog.jsonb;
  own pg_catalog.jsonb;
  asked pg_catalog.jsonb := '[]';
  origin public.runs%ROWTYPE;
BEGIN
  PERFORM pg_catalog.set_config('app.current_tenant', p_client::pg_catalog.text, true);
  SELECT * INTO r FROM public.runs WHERE client_id = p_client AND id = p_run;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT w.document, w.author_id, w.published_by INTO v FROM public.workflow_versions w
   WHERE w.client_id = p_client AND w.workflow_id = r.workflow_id AND w.version = r.version;
  IF r.started_at IS NOT NULL THEN
    past := public.opsloom_run_events(p_client, p_run);
  END IF;
  IF r.started_at IS NOT NULL OR r.parent IS NOT NULL THEN
    SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a) ORDER BY a.id), '[]') INTO asked
      FROM public.approvals a
     WHERE a.client_id = p_client AND a.run_id IN (p_run, r.parent);
    SELECT pg_catalog.jsonb_build_object('plan', p.plan, 'seal', p.seal) INTO own FROM public.run_plans p
     WHERE p.client_id = p_client AND p.run_id = p_run;
  END IF;
  IF r.sealed_plan IS NOT NULL THEN
    SELECT pg_catalog.jsonb_build_object('plan', p.plan, 'seal', p.seal) INTO agreed FROM public.run_plans p
     WHERE p.client_id = p_client AND p.run_id = r.sealed_plan;
  END IF;
  IF r.of IS NOT NULL THEN
    SELECT * INTO origin FROM public.runs WHERE client_id = p_client AND id = r.of;
    reversed := pg_catalog.jsonb_build_object('run', pg_catalog.to_jsonb(origin),
                                              'document', public.opsloom_run_document(p_client, origin),
                                              'events', public.opsloom_run_events(p_client, r.of),
                                              'connections', (SELECT p.plan -> 'connections' FROM public.run_plans p
                                                               WHERE p.client_id = p_client AND p.run_id = r.of));
  END IF;
  RETURN pg_catalog.jsonb_build_object(
    'now', pg_catalog.clock_timestamp(),
    'run', pg_catalog.to_jsonb(r),
    'abandoned', (SELECT q.abandoned FROM public.run_queue q WHERE q.client_id = p_client AND q.run_id = p_run),
    'document', coalesce(r.extra -> 'document', v.document),
    'author', v.author_id,
    'publisher', v.published_by,
    'events', past,
    'plan', own,
    'sealed', agreed,
    'approvals', asked,
    'connections', (SELECT coalesce(pg_catalog.jsonb_object_agg(c.alias, pg_catalog.jsonb_build_object(
                      'id', c.id, 'platform', c.platform, 'tenant', c.platform_tenant, 'state', c.state)), '{}')
                    FROM public.connections c WHERE c.client_id = p_client AND c.removed_at IS NULL),
    'client', (SELECT pg_catalog.jsonb_build_object(
                      'slug', c.slug, 'name', c.name, 'variables', c.variables, 'policy', c.policy,
                      'limited', EXISTS (SELECT FROM public.client_limits l
                                          WHERE l.client_id = p_client AND l.max_running IS NOT NULL))
               FROM public.clients c WHERE c.client_id = p_client),
    'origin', reversed
  );
END $$;
