-- Batches that a provider does by its own batch API. A job that nobody sees, the carrier, takes the items there and
-- brings the answers back. While a provider has them the items run, under a lease that never ends: they are nobody's to
-- claim, to rescue or to count among what workers do. Their ends are fenced as any job's are, so an answer that is
-- brought twice counts once.

ALTER TABLE batch ADD COLUMN carrier uuid;
CREATE INDEX batch_by_carrier ON batch (carrier) WHERE carrier IS NOT NULL;

-- Makes jobs whose money is held already, all together, under another name: each gets its own part, and the account is
-- not touched, so that nobody waits for it. The name under which it was held goes in the same transaction.
CREATE FUNCTION job_add(orders json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    came job_order[] := ARRAY(SELECT o FROM json_populate_recordset(NULL::job_order, orders) AS o);
BEGIN
    INSERT INTO hold (id, tenant_id, account_id, amount, provider, model, price_version, expires_at)
    SELECT o.id, o.tenant_id, o.hold_account, o.hold_nanos, o.provider, o.model, o.price_version,
           clock_timestamp() + make_interval(secs => o.life_s + 3600)
    FROM unnest(came) AS o;
    INSERT INTO job (
        id, tenant_id, user_id, account, key_id, allowed_models, queue, kind, provider, model, lane, priority, spec, stream,
        state, run_at, max_attempts, timeout_s, hold_id, hold_account, batch_id, item_index, fingerprint, labels, expires_at)
    SELECT
        o.id, o.tenant_id, o.user_id, o.account, o.key_id, o.allowed_models, o.queue, o.kind, o.provider, o.model, o.lane,
        o.priority, decode(o.spec, 'base64'), o.stream, 'queued', clock_timestamp(), o.max_attempts, o.timeout_s, o.id,
        o.hold_account, o.batch_id, o.item_index, decode(o.fingerprint, 'base64'), o.labels,
        clock_timestamp() + make_interval(secs => o.life_s)
    FROM unnest(came) AS o
    ORDER BY o.item_index, o.id;
END $$;

-- The provider gets what still waits of a batch, a part at a time, unless somebody has cancelled it. Says how many.
CREATE FUNCTION bulk_begin(of_batch uuid, with_token bigint, most integer) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    begun bigint;
BEGIN
    PERFORM 1 FROM batch JOIN job AS c ON c.id = batch.carrier
    WHERE batch.id = of_batch AND NOT batch.cancelled AND c.lease_token = with_token AND c.state = 'running';
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    UPDATE job SET state = 'running', attempt = 1, lease_token = 1, leased_until = 'infinity', revision = revision + 1,
                   started_at = clock_timestamp()
    WHERE id IN (SELECT id FROM job WHERE batch_id = of_batch AND state = 'queued' ORDER BY id LIMIT most FOR UPDATE);
    GET DIAGNOSTICS begun = ROW_COUNT;
    RETURN begun;
END $$;

-- Ends what is left of a batch, a part at a time; says how many.
CREATE FUNCTION bulk_end(of_batch uuid, as_state text, why text, told bytea, most integer) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    ended job[];
BEGIN
    WITH gone AS (
        UPDATE job SET state = as_state, error_reason = why, error = told, delay_reason = '', leased_until = NULL,
                       ended_at = clock_timestamp(), revision = revision + 1
        WHERE id IN (SELECT id FROM job WHERE batch_id = of_batch AND state IN ('queued', 'delayed', 'running')
                     ORDER BY id LIMIT most FOR UPDATE)
        RETURNING job
    )
    SELECT array_agg(gone.job) INTO ended FROM gone;
    PERFORM job_free(ended);
    RETURN coalesce(cardinality(ended), 0);
END $$;

-- Ends what a carrier has left behind that failed.
CREATE FUNCTION bulk_sweep(most integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    left_ record;
BEGIN
    FOR left_ IN
        SELECT batch.id, batch.cancelled, carrier.state, carrier.error, carrier.error_reason
        FROM batch JOIN job AS carrier ON carrier.id = batch.carrier
        WHERE batch.told_count < batch.item_count AND carrier.ended_at IS NOT NULL
    LOOP
        PERFORM bulk_end(left_.id, CASE WHEN left_.cancelled THEN 'cancelled' ELSE 'failed' END,
                         CASE WHEN left_.cancelled THEN 'CANCELLED' ELSE left_.error_reason END,
                         CASE WHEN left_.cancelled THEN NULL ELSE left_.error END, most);
    END LOOP;
END $$;

-- As before; what a provider does by itself is not for workers to claim, ...
CREATE OR REPLACE FUNCTION job_room(of_lane text) RETURNS integer LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    most integer;
BEGIN
    IF of_lane = '' THEN
        RETURN 2147483647;
    END IF;
    SELECT CASE WHEN stopped OR cancelled OR carrier IS NOT NULL THEN -1 ELSE concurrency_max END INTO most
    FROM batch WHERE id = of_lane::uuid;
    IF most < 0 THEN
        RETURN 0;
    ELSIF most = 0 THEN
        RETURN 2147483647;
    END IF;
    SELECT concurrency_max INTO most FROM batch WHERE id = of_lane::uuid FOR UPDATE SKIP LOCKED;
    RETURN CASE WHEN FOUND
        THEN greatest(0, most - (SELECT count(*) FROM job WHERE batch_id = of_lane::uuid AND state = 'running'))
        ELSE 0 END;
END $$;

-- ... and takes no place of those that they do.
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
                                            AND leased_until < 'infinity')) END)));
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
                    AND other.tenant_id = mine.tenant_id AND other.user_id = mine.user_id) AS of_user,
                row_number() OVER (PARTITION BY provider, model ORDER BY nth) + (
                    SELECT count(*) FROM job AS other
                    WHERE other.state = 'running' AND other.leased_until < 'infinity'
                    AND other.provider = mine.provider AND other.model = mine.model) AS of_model
            FROM unnest(picked) WITH ORDINALITY AS one (picked_id, nth) JOIN job AS mine ON mine.id = picked_id
        ) AS counted
        WHERE (user_max > 0 AND of_user > user_max) OR (model_max > 0 AND of_model > model_max));
    UPDATE job SET state = 'delayed', delay_reason = 'rate_limited', run_at = clock_timestamp() + interval '1 s',
                   revision = revision + 1
    WHERE id = ANY (full_);
    RETURN ARRAY(SELECT one FROM unnest(picked) AS one WHERE one <> ALL (full_));
END $$;
