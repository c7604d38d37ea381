-- The document a run executes: its own draft, or the immutable version.
CREATE FUNCTION opsloom_run_document(p_client uuid, r public.runs) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = public, pg_temp AS $$
  SELECT coalesce(r.extra -> 'document', (SELECT v.document FROM public.workflow_versions v
    WHERE v.client_id = p_client AND v.workflow_id = r.workflow_id AND v.version = r.version))
$$;
CREATE FUNCTION opsloom_run_events(p_client uuid, p_run uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = public, pg_temp AS $$
  SELECT coalesce(jsonb_agg(e.payload ORDER BY e.seq), '[]') FROM public.step_events e
  WHERE e.client_id = p_client AND e.run_id = p_run
$$;
-- Everything a worker needs to walk a claimed run, in one round trip and one tenant's eyes.
-- SECURITY INVOKER: row-level security decides what is seen; the tenant is set for this transaction only.
CREATE FUNCTION opsloom_engine_load(p_client uuid, p_run uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = public, pg_temp AS $$
DECLARE
  r public.runs%ROWTYPE;
  origin public.runs%ROWTYPE;
BEGIN
  PERFORM set_config('app.current_tenant', p_client::text, true);
  SELECT * INTO r FROM public.runs WHERE client_id = p_client AND id = p_run;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF r.of IS NOT NULL THEN
    SELECT * INTO origin FROM public.runs WHERE client_id = p_client AND id = r.of;
  END IF;
  RETURN jsonb_build_object(
    'now', clock_timestamp(),
    'run', to_jsonb(r),
    'abandoned', (SELECT q.abandoned FROM public.run_queue q WHERE q.client_id = p_client AND q.run_id = p_run),
    'document', opsloom_run_document(p_client, r),
    'author', (SELECT v.author_id FROM public.workflow_versions v
               WHERE v.client_id = p_client AND v.workflow_id = r.workflow_id AND v.version = r.version),
    'publisher', (SELECT v.published_by FROM public.workflow_versions v
                  WHERE v.client_id = p_client AND v.workflow_id = r.workflow_id AND v.version = r.version),
    'events', opsloom_run_events(p_client, p_run),
    'plan', (SELECT jsonb_build_object('plan', p.plan, 'seal', p.seal) FROM public.run_plans p
             WHERE p.client_id = p_client AND p.run_id = p_run),
    'sealed', (SELECT jsonb_build_object('plan', p.plan, 'seal', p.seal) FROM public.run_plans p
               WHERE p.client_id = p_client AND p.run_id = r.sealed_plan),
    'approvals', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.id), '[]') FROM public.approvals a
                  WHERE a.client_id = p_client AND a.run_id IN (p_run, r.parent)),
    'connections', (SELECT coalesce(jsonb_object_agg(c.alias, jsonb_build_object('id', c.id, 'platform', c.platform,
                      'tenant', c.platform_tenant, 'state', c.state)), '{}')
                    FROM public.connections c WHERE c.client_id = p_client AND c.removed_at IS NULL),
    'client', (SELECT jsonb_build_object('slug', c.slug, 'name', c.name, 'variables', c.variables, 'policy', c.policy)
               FROM public.clients c WHERE c.client_id = p_client),
    'origin', CASE WHEN r.of IS NULL THEN NULL ELSE jsonb_build_object(
      'run', to_jsonb(origin), 'document', opsloom_run_document(p_client, origin),
      'events', opsloom_run_events(p_client, r.of)) END
  );
END $$;
