-- What is done for many at once is done in steps of a size that fits into the time of a statement, however much there is:
-- one that takes too long is undone as a whole, and so would be every time.

-- Ends what carriers have left behind that failed: no more than `most` items of all of them together.
CREATE OR REPLACE FUNCTION bulk_sweep(most integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    left_ record;
BEGIN
    FOR left_ IN
        SELECT batch.id, batch.cancelled, carrier.error, carrier.error_reason
        FROM batch JOIN job AS carrier ON carrier.id = batch.carrier
        WHERE batch.told_count < batch.item_count AND carrier.ended_at IS NOT NULL
    LOOP
        most := most - bulk_end(
            left_.id, CASE WHEN left_.cancelled THEN 'cancelled' ELSE 'failed' END,
            CASE WHEN left_.cancelled THEN 'CANCELLED' ELSE left_.error_reason END,
            CASE WHEN left_.cancelled THEN NULL ELSE left_.error END, most);
        EXIT WHEN most <= 0;
    END LOOP;
END $$;

-- As before, of some batches at a time, any of them, whose items are few enough to be counted.
CREATE OR REPLACE FUNCTION batch_tell() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH open_ AS (
        SELECT id, told_count FROM batch WHERE id IN (
            SELECT id FROM (
                SELECT id, sum(item_count) OVER (ORDER BY place) - item_count AS items_before
                FROM (SELECT id, item_count, random() AS place FROM batch WHERE told_count < item_count
                      ORDER BY place LIMIT 100) AS any_order
            ) AS queue WHERE items_before < 20000)
        ORDER BY id FOR UPDATE SKIP LOCKED
    ), counted AS (
        SELECT open_.id, told_count, counts.*, counts.succeeded + counts.failed + counts.cancelled AS over_count
        FROM open_ CROSS JOIN LATERAL batch_counts(open_.id) AS counts
    ), told AS (
        UPDATE batch SET told_count = over_count FROM counted
        WHERE batch.id = counted.id AND over_count > counted.told_count
        RETURNING batch.id, batch.tenant_id, batch.item_count
    )
    INSERT INTO event (tenant_id, type, body)
    SELECT tenant_id, 'BatchProgress', json_build_object(
        'batchId', 'batch_' || replace(id::text, '-', ''), 'totalCount', item_count::text,
        'runnableCount', queued::text, 'delayedCount', delayed::text, 'runningCount', running::text,
        'succeededCount', succeeded::text, 'failedCount', failed::text, 'cancelledCount', cancelled::text)
    FROM told JOIN counted USING (id);
END $$;

-- As before, by the time at which it begins: `clock_timestamp()` may be another for each row, so an index cannot look for it,
-- and all jobs that wait or run were read.
CREATE OR REPLACE FUNCTION job_sweep(rescues_max integer, most integer, OUT queues text[], OUT next_s double precision, OUT rescued integer)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    late job[];
BEGIN
    late := ARRAY(
        SELECT job FROM job WHERE state IN ('queued', 'delayed') AND expires_at <= moment
        ORDER BY expires_at LIMIT most FOR UPDATE SKIP LOCKED);
    PERFORM job_end_waiting(ARRAY(SELECT id FROM unnest(late)), 'failed', 'JOB_EXPIRED') WHERE cardinality(late) > 0;
    late := ARRAY(
        SELECT job FROM batch JOIN job ON job.batch_id = batch.id
        WHERE batch.told_count < batch.item_count AND (batch.stopped OR batch.cancelled)
          AND job.state IN ('queued', 'delayed')
        LIMIT most FOR UPDATE OF job SKIP LOCKED);
    PERFORM job_end_waiting(ARRAY(SELECT id FROM unnest(late)), 'cancelled', 'CANCELLED') WHERE cardinality(late) > 0;
    late := ARRAY(
        SELECT job FROM job WHERE state = 'running' AND leased_until < moment
        ORDER BY leased_until LIMIT most FOR UPDATE SKIP LOCKED);
    rescued := cardinality(late);
    IF rescued > 0 THEN
        PERFORM job_end_waiting(ARRAY(SELECT id FROM unnest(late) WHERE cancel_requested), 'cancelled', 'CANCELLED');
        PERFORM job_end_waiting(
            ARRAY(SELECT id FROM unnest(late) WHERE NOT cancel_requested AND rescues + 1 >= rescues_max),
            'failed', 'JOB_POISONED');
    END IF;
    WITH due AS (
        SELECT id FROM job WHERE state = 'delayed' AND run_at <= moment
        ORDER BY run_at LIMIT most FOR UPDATE SKIP LOCKED
    ), woken AS (
        UPDATE job SET
            state = 'queued', delay_reason = '', leased_until = NULL, revision = revision + 1,
            rescues = rescues + CASE state WHEN 'running' THEN 1 ELSE 0 END,
            attempt = attempt - CASE state WHEN 'running' THEN 1 ELSE 0 END
        WHERE id IN (SELECT id FROM due UNION ALL SELECT id FROM unnest(late))
          AND state IN ('delayed', 'running')
          AND NOT (state = 'running' AND (cancel_requested OR rescues + 1 >= rescues_max))
        RETURNING queue
    )
    SELECT array_agg(DISTINCT queue) INTO queues FROM woken;
    PERFORM batch_tell();
    next_s := (SELECT extract(epoch FROM run_at - clock_timestamp()) FROM job WHERE state = 'delayed'
               ORDER BY run_at LIMIT 1);
END $$;

-- As before, by the time at which it begins.
CREATE OR REPLACE FUNCTION ledger_lapse_due(up_to integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    due uuid[] := ARRAY(
        SELECT DISTINCT account_id
        FROM credit JOIN account ON account.id = account_id
        WHERE remaining > 0 AND expires_at <= moment AND posted_credit - posted_debit - held > 0
        LIMIT up_to);
    a account;
    lapsed account[];
BEGIN
    FOR a IN SELECT * FROM account WHERE id = ANY (due) ORDER BY id FOR UPDATE SKIP LOCKED LOOP
        lapsed := array_append(lapsed, ledger_lapse(a));
    END LOOP;
    PERFORM ledger_save(lapsed);
    RETURN cardinality(coalesce(lapsed, '{}'));
END $$;

-- Gives up some of what waits for endpoints that are disabled, of one or of all; says how many.
CREATE FUNCTION webhook_give_up(of_endpoint uuid, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    given integer;
BEGIN
    UPDATE webhook_delivery SET state = 'failed', error = 'ENDPOINT_DISABLED', leased_until = NULL,
                                lease_token = lease_token + 1, end_time = clock_timestamp()
    WHERE number IN (
        SELECT found.number FROM webhook_endpoint AS p CROSS JOIN LATERAL (
            SELECT d.number FROM webhook_delivery AS d
            WHERE d.endpoint_id = p.endpoint_id AND d.state = 'waiting'
            LIMIT most FOR UPDATE SKIP LOCKED) AS found
        WHERE NOT p.enabled AND (of_endpoint IS NULL OR p.endpoint_id = of_endpoint)
        LIMIT most);
    GET DIAGNOSTICS given = ROW_COUNT;
    RETURN given;
END $$;

-- An endpoint that is disabled gets nothing more: some of what waits for it is given up at once, the rest by
-- `webhook_give_up`. It tells where the gateway itself has decided so.
CREATE OR REPLACE FUNCTION webhook_disable(of_endpoint uuid, why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE webhook_endpoint SET enabled = false, disabled_reason = why, slow_until = NULL
    WHERE endpoint_id = of_endpoint AND enabled;
    IF FOUND AND why <> '' THEN
        INSERT INTO event (tenant_id, type, body)
        SELECT tenant_id, 'WebhookEndpointDisabled', json_build_object(
            'endpointId', 'whep_' || replace(endpoint_id::text, '-', ''), 'reason', why)
        FROM webhook_endpoint WHERE endpoint_id = of_endpoint;
    END IF;
    PERFORM webhook_give_up(of_endpoint, 2000);
END $$;

-- As before; those on their way are counted by their next time, which is when their lease ends, not among all that wait.
CREATE OR REPLACE FUNCTION webhook_claim(most integer, at_once integer, lease_s double precision)
RETURNS SETOF webhook_delivery LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    IF NOT EXISTS (SELECT 1 FROM webhook_delivery WHERE state = 'waiting' AND next_time <= moment) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH open_ AS (
        SELECT p.endpoint_id, p.for_callbacks FROM webhook_endpoint AS p
        WHERE p.enabled AND (p.slow_until IS NULL OR p.slow_until <= moment) AND EXISTS (
            SELECT 1 FROM webhook_delivery AS d
            WHERE d.endpoint_id = p.endpoint_id AND d.state = 'waiting' AND d.next_time <= moment)
        ORDER BY random() LIMIT most FOR NO KEY UPDATE SKIP LOCKED
    ), due AS (
        SELECT found.number FROM open_ CROSS JOIN LATERAL (
            SELECT d.number FROM webhook_delivery AS d
            WHERE d.endpoint_id = open_.endpoint_id AND d.state = 'waiting' AND d.next_time <= moment
            ORDER BY d.next_time, d.number
            LIMIT greatest(0, at_once * CASE WHEN open_.for_callbacks THEN 4 ELSE 1 END - (
                SELECT count(*) FROM webhook_delivery AS other
                WHERE other.endpoint_id = open_.endpoint_id AND other.state = 'waiting' AND other.leased_until > moment
                  AND other.next_time > moment AND other.next_time <= moment + make_interval(secs => lease_s)))
            FOR UPDATE SKIP LOCKED) AS found
        LIMIT most
    )
    UPDATE webhook_delivery SET
        lease_token = lease_token + 1,
        leased_until = moment + make_interval(secs => lease_s),
        next_time = moment + make_interval(secs => lease_s)
    WHERE number IN (SELECT number FROM due)
    RETURNING webhook_delivery.*;
END $$;

-- As before; an event meets the endpoints of its tenant, not everybody's.
CREATE OR REPLACE FUNCTION webhook_fan_out(head bigint, most integer, OUT made integer, OUT is_more boolean) LANGUAGE plpgsql AS $$
DECLARE
    place bigint;
    last bigint;
    called integer;
BEGIN
    made := 0;
    is_more := false;
    SELECT position INTO place FROM event_checkpoint WHERE name = 'webhooks' FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR place >= head THEN
        RETURN;
    ELSIF NOT EXISTS (SELECT 1 FROM webhook_endpoint WHERE enabled) THEN
        UPDATE event_checkpoint SET position = head WHERE name = 'webhooks' AND head - place > most;
        RETURN;
    END IF;
    last := least(head, place + most);
    INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, type, body)
    SELECT p.tenant_id, p.endpoint_id, e.event_id, e.type, webhook_body(e)
    FROM event AS e CROSS JOIN LATERAL (
        SELECT * FROM webhook_endpoint WHERE tenant_id = e.tenant_id
        UNION ALL
        SELECT * FROM webhook_endpoint WHERE e.tenant_id = '00000000-0000-0000-0000-000000000000'
    ) AS p
    WHERE e.position > place AND e.position <= last
      AND p.enabled AND NOT p.for_callbacks AND e.create_time >= p.active_since
      AND (p.types = '{}' OR e.type = ANY (p.types))
    ORDER BY e.position, p.number
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, type, body, callback_uri)
    SELECT p.tenant_id, p.endpoint_id, e.event_id, e.type, webhook_body(e), c.uri
    FROM event AS e
    JOIN job_callback AS c
      ON c.job_id = CASE WHEN e.type IN ('JobStateChanged', 'JobProgressed') THEN substr(e.body ->> 'jobId', 5)::uuid END
    JOIN webhook_endpoint AS p ON p.tenant_id = e.tenant_id AND p.for_callbacks AND p.enabled
    WHERE e.position > place AND e.position <= last
    ORDER BY e.position
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS called = ROW_COUNT;
    UPDATE event_checkpoint SET position = last WHERE name = 'webhooks';
    made := made + called;
    is_more := last < head;
END $$;

-- The windows of now, and those that are to be forgotten.
CREATE INDEX budget_window_by_time ON budget_window (budget_id, start_time);
