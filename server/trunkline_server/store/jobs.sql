Jobs. What is decided is decided by the functions in the migrations.

-- name: enqueue
SELECT place, verdict, made_id, available FROM job_enqueue($1) ORDER BY place

-- name: call_back
INSERT INTO job_callback (job_id, uri, with_progress) SELECT id, $2, $3 FROM job WHERE id = $1

-- name: take_place
INSERT INTO conversation_job (job_id, conversation_id) SELECT id, $2 FROM job WHERE id = $1

-- What was made earlier and has yet to speak there, without what is to begin later.
-- name: ahead
SELECT count(*) FROM (
    SELECT 1 FROM conversation_job AS other JOIN job ON job.id = other.job_id
    WHERE other.conversation_id = $2 AND other.job_id < $1 AND NOT (state = 'delayed' AND started_at IS NULL)
    LIMIT $3
) AS earlier

-- name: callback
SELECT uri, with_progress FROM job_callback WHERE job_id = $1

-- name: get
SELECT id, tenant_id, user_id, account, key_id, allowed_models, queue, kind, provider, model, priority, spec, stream, state,
       delay_reason, run_at, attempt, max_attempts, rescues, timeout_s, lease_token, cancel_requested, hold_id,
       hold_account, progress, progress_message, progress_at, result, error, error_reason, usage, cost_nano_usd,
       charge_nanos, fallback_model, batch_id, item_index, retry_of, labels::text, revision, created_at, started_at,
       ended_at, expires_at
FROM job
WHERE tenant_id = $1 AND id = $2

-- name: revision
SELECT revision, state IN ('succeeded', 'failed', 'cancelled') FROM job WHERE tenant_id = $1 AND id = $2

-- name: list
SELECT id, tenant_id, user_id, account, key_id, allowed_models, queue, kind, provider, model, priority, ''::bytea, stream,
       state, delay_reason, run_at, attempt, max_attempts, rescues, timeout_s, lease_token, cancel_requested, hold_id,
       hold_account, progress, progress_message, progress_at, NULL::bytea, error, error_reason, usage, cost_nano_usd,
       charge_nanos, fallback_model, batch_id, item_index, retry_of, labels::text, revision, created_at, started_at,
       ended_at, expires_at
FROM job
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::text IS NULL OR state = $3)
  AND ($4::text IS NULL OR queue = $4) AND ($5::text IS NULL OR user_id = $5)
ORDER BY id DESC
LIMIT $6

-- name: claim
SELECT id, tenant_id, user_id, account, key_id, allowed_models, queue, kind, provider, model, priority, spec, stream, state,
       delay_reason, run_at, attempt, max_attempts, rescues, timeout_s, lease_token, cancel_requested, hold_id,
       hold_account, progress, progress_message, progress_at, result, error, error_reason, usage, cost_nano_usd,
       charge_nanos, fallback_model, batch_id, item_index, retry_of, labels::text, revision, created_at, started_at,
       ended_at, expires_at
FROM job_claim($1, $2, $3, $4, $5, $6, $7)

-- name: ready_queues
WITH RECURSIVE turn AS (
    (SELECT queue FROM job WHERE state = 'queued' ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT job.queue FROM job WHERE state = 'queued' AND job.queue > turn.queue ORDER BY job.queue LIMIT 1)
    FROM turn WHERE turn.queue IS NOT NULL
)
SELECT queue FROM turn WHERE queue IS NOT NULL LIMIT 1000

-- name: apply
SELECT place, fenced, verdict, available, cancel_requested FROM job_apply($1) ORDER BY place

-- name: renew
SELECT renewed_id, wanted_gone FROM job_renew($1, $2, $3)

-- name: idle
UPDATE job SET idle_token = CASE WHEN $3 THEN lease_token ELSE -1 END
WHERE id = $1 AND lease_token = $2 AND state = 'running'

-- name: cancel
SELECT job_cancel($1, $2)

-- name: sweep
SELECT queues, next_s, rescued FROM bulk_sweep($2) CROSS JOIN job_sweep($1, $2)

-- name: purge
DELETE FROM job WHERE id IN (
    SELECT id FROM job WHERE ended_at < statement_timestamp() - $1::interval ORDER BY ended_at LIMIT $2)

-- name: stats
SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'delayed'),
       count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state = 'succeeded'),
       count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'cancelled'),
       (avg(extract(epoch FROM ended_at - started_at)) FILTER (WHERE state = 'succeeded'))::double precision,
       avg(extract(epoch FROM started_at - created_at))::double precision
FROM job
WHERE tenant_id = $1 AND ($2::text IS NULL OR user_id = $2) AND ($3::text IS NULL OR queue = $3)
  AND ($4::timestamptz IS NULL OR created_at >= $4)

-- name: keep_events
INSERT INTO job_chat_event (job_id, attempt, event)
SELECT $1, job.attempt, event
FROM unnest($3::bytea[]) WITH ORDINALITY AS one (event, nth), job
WHERE job.id = $1 AND job.lease_token = $2 AND job.state = 'running'
ORDER BY nth

-- name: events_after
SELECT place, attempt, event FROM job_chat_event WHERE job_id = $1 AND place > $2 ORDER BY place LIMIT $3
