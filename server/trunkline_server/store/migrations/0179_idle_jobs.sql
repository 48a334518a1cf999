-- A job that waits for other jobs takes no place of those that run: `idle_token` is the lease under which it waits, so that
-- whoever takes the job over has it at work again.

ALTER TABLE job ADD COLUMN idle_token bigint NOT NULL DEFAULT -1;

-- As before, without those.
CREATE OR REPLACE FUNCTION job_claim(
    from_queue text, behind uuid, most integer, lease_s double precision,
    tenant_max integer, user_max integer, model_max integer
) RETURNS SETOF job LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    tenants uuid[];
    picked uuid[] := '{}';
    tenant uuid;
    share integer;
BEGIN
    IF greatest(tenant_max, user_max, model_max) > 0 THEN
        PERFORM pg_advisory_xact_lock(7310577);  -- who counts what runs must not be counted around
    END IF;
    WITH RECURSIVE turn AS (
        (SELECT tenant_id, 1 AS nth FROM job WHERE queue = from_queue AND state = 'queued' AND tenant_id > behind
         ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT job.tenant_id FROM job
                WHERE queue = from_queue AND state = 'queued' AND job.tenant_id > turn.tenant_id
                ORDER BY job.tenant_id LIMIT 1), nth + 1
        FROM turn WHERE turn.tenant_id IS NOT NULL AND nth < most
    ), again AS (
        (SELECT tenant_id, 1 AS nth FROM job WHERE queue = from_queue AND state = 'queued' AND tenant_id <= behind
         ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT job.tenant_id FROM job
                WHERE queue = from_queue AND state = 'queued'
                  AND job.tenant_id > again.tenant_id AND job.tenant_id <= behind
                ORDER BY job.tenant_id LIMIT 1), nth + 1
        FROM again WHERE again.tenant_id IS NOT NULL AND nth < most
    )
    SELECT array_agg(tenant_id) INTO tenants FROM (
        SELECT tenant_id FROM (
            SELECT tenant_id, 1 AS round, nth FROM turn UNION ALL SELECT tenant_id, 2, nth FROM again) AS found
        WHERE tenant_id IS NOT NULL ORDER BY round, nth LIMIT most) AS first;
    share := ceil(most::numeric / greatest(cardinality(tenants), 1));
    FOREACH tenant IN ARRAY coalesce(tenants, '{}') LOOP
        picked := picked || ARRAY(SELECT job_ready_of(from_queue, tenant, least(
            share, most - cardinality(picked),
            CASE WHEN tenant_max = 0 THEN share ELSE
                greatest(0, tenant_max - (SELECT count(*)::integer FROM job
                                          WHERE state = 'running' AND tenant_id = tenant
                                            AND leased_until < 'infinity' AND idle_token <> lease_token)) END)));
        EXIT WHEN cardinality(picked) >= most;
    END LOOP;
    IF greatest(user_max, model_max) > 0 THEN
        picked := job_hold_back(picked, user_max, model_max);
    END IF;
    RETURN QUERY
    UPDATE job SET
        state = 'running', delay_reason = '', attempt = attempt + 1, lease_token = lease_token + 1,
        leased_until = clock_timestamp() + make_interval(secs => lease_s),
        started_at = coalesce(started_at, clock_timestamp()), revision = revision + 1
    WHERE id = ANY (picked)
    RETURNING *;
END $$;

CREATE OR REPLACE FUNCTION job_hold_back(picked uuid[], user_max integer, model_max integer) RETURNS uuid[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    full_ uuid[];
BEGIN
    full_ := ARRAY(
        SELECT id FROM (
            SELECT id,
                row_number() OVER (PARTITION BY tenant_id, user_id ORDER BY nth) + (
                    SELECT count(*) FROM job AS other
                    WHERE other.state = 'running' AND other.leased_until < 'infinity'
                    AND other.idle_token <> other.lease_token
                    AND other.tenant_id = mine.tenant_id AND other.user_id = mine.user_id) AS of_user,
                row_number() OVER (PARTITION BY provider, model ORDER BY nth) + (
                    SELECT count(*) FROM job AS other
                    WHERE other.state = 'running' AND other.leased_until < 'infinity'
                    AND other.idle_token <> other.lease_token
                    AND other.provider = mine.provider AND other.model = mine.model) AS of_model
            FROM unnest(picked) WITH ORDINALITY AS one (picked_id, nth) JOIN job AS mine ON mine.id = picked_id
        ) AS counted
        WHERE (user_max > 0 AND of_user > user_max) OR (model_max > 0 AND of_model > model_max));
    UPDATE job SET state = 'delayed', delay_reason = 'rate_limited', run_at = clock_timestamp() + interval '1 s',
                   revision = revision + 1
    WHERE id = ANY (full_);
    RETURN ARRAY(SELECT one FROM unnest(picked) AS one WHERE one <> ALL (full_));
END $$;
