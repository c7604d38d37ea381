-- Everything a worker needs to walk a claimed run, in one tenant's eyes. As before, with the version read once, and without
-- a look for the history and the questions of a run that was never begun: the first commit that holds any says that it is.
-- SECURITY INVOKER: row-level security decides what is seen; the tenant is set for this transaction only.
CREATE OR REPLACE FUNCTION opsloom_engine_load(p_client uuid, p_run uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = public, pg_temp AS $$
DECLARE
  r public.runs%ROWTYPE;
  v record;
  past jsonb := '[]';
  reversed jsonb;
  agreed jsonb;
  asked jsonb := '[]';
  origin public.runs%ROWTYPE;
BEGIN
  PERFORM set_config('app.current_tenant', p_client::text, true);
  SELECT * INTO r FROM public.runs WHERE client_id = p_client AND id = p_run;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT w.document, w.author_id, w.published_by INTO v FROM public.workflow_versions w
   WHERE w.client_id = p_client AND w.workflow_id = r.workflow_id AND w.version = r.version;
  IF r.started_at IS NOT NULL THEN
    past := opsloom_run_events(p_client, p_run);
  END IF;
  IF r.started_at IS NOT NULL OR r.parent IS NOT NULL THEN
    SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.id), '[]') INTO asked FROM public.approvals a
     WHERE a.client_id = p_client AND a.run_id IN (p_run, r.parent);
  END IF;
  IF r.sealed_plan IS NOT NULL THEN
    SELECT jsonb_build_object('plan', p.plan, 'seal', p.seal) INTO agreed FROM public.run_plans p
     WHERE p.client_id = p_client AND p.run_id = r.sealed_plan;
  END IF;
  IF r.of IS NOT NULL THEN
    SELECT * INTO origin FROM public.runs WHERE client_id = p_client AND id = r.of;
    reversed := jsonb_build_object('run', to_jsonb(origin), 'document', opsloom_run_document(p_client, origin),
                                   'events', opsloom_run_events(p_client, r.of));
  END IF;
  RETURN jsonb_build_object(
    'now', clock_timestamp(),
    'run', to_jsonb(r),
    'abandoned', (SELECT q.abandoned FROM public.run_queue q WHERE q.client_id = p_client AND q.run_id = p_run),
    'document', coalesce(r.extra -> 'document', v.document),
    'author', v.author_id,
    'publisher', v.published_by,
    'events', past,
    'plan', (SELECT jsonb_build_object('plan', p.plan, 'seal', p.seal) FROM public.run_plans p
             WHERE p.client_id = p_client AND p.run_id = p_run),
    'sealed', agreed,
    'approvals', asked,
    'connections', (SELECT coalesce(jsonb_object_agg(c.alias, jsonb_build_object('id', c.id, 'platform', c.platform,
                      'tenant', c.platform_tenant, 'state', c.state)), '{}')
                    FROM public.connections c WHERE c.client_id = p_client AND c.removed_at IS NULL),
    'client', (SELECT jsonb_build_object('slug', c.slug, 'name', c.name, 'variables', c.variables, 'policy', c.policy,
                      'limited', EXISTS (SELECT FROM public.client_limits l
                                          WHERE l.client_id = p_client AND l.max_running IS NOT NULL))
               FROM public.clients c WHERE c.client_id = p_client),
    'origin', reversed
  );
END $$;
