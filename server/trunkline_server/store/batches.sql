Batches: a row each; their items are jobs.

-- name: create
INSERT INTO batch (
    id, tenant_id, user_id, name, mode, stop_on_error, concurrency_max, item_count, request_id, fingerprint, labels, carrier)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::json, $12)

-- name: add
SELECT job_add($1)

-- name: spend
DELETE FROM hold WHERE id = ANY ($1::uuid[]) AND state = 'held'

-- name: repeated
SELECT id, fingerprint FROM batch WHERE tenant_id = $1 AND request_id = $2

-- name: get
SELECT b.id, b.user_id, b.name, b.mode, b.stop_on_error, b.concurrency_max, b.item_count, b.cancelled, b.stopped, b.labels::text,
       b.created_at, items.ended_at, items.charge_nanos, items.queued, items.delayed, items.running, items.succeeded,
       items.failed, items.gone
FROM batch AS b CROSS JOIN LATERAL (
    SELECT max(ended_at) AS ended_at, coalesce(sum(charge_nanos), 0)::bigint AS charge_nanos,
           count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'delayed') AS delayed,
           count(*) FILTER (WHERE state = 'running') AS running,
           count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'cancelled') AS gone
    FROM job WHERE batch_id = b.id) AS items
WHERE b.tenant_id = $1 AND ($2::uuid IS NULL OR b.id = $2) AND ($3::uuid IS NULL OR b.id < $3)
ORDER BY b.id DESC
LIMIT $4

-- name: items
SELECT id, tenant_id, user_id, account, key_id, allowed_models, queue, kind, provider, model, priority, ''::bytea, stream,
       state, delay_reason, run_at, attempt, max_attempts, rescues, timeout_s, lease_token, cancel_requested, hold_id,
       hold_account, progress, progress_message, progress_at, result, error, error_reason, usage, cost_nano_usd,
       charge_nanos, fallback_model, batch_id, item_index, retry_of, labels::text, revision, created_at, started_at,
       ended_at, expires_at
FROM job
WHERE batch_id = $1 AND item_index > $2
ORDER BY item_index
LIMIT $3

-- name: cancel
UPDATE batch SET cancelled = true WHERE tenant_id = $1 AND id = $2

-- name: stop_carrier
UPDATE job SET run_at = clock_timestamp()
WHERE id = (SELECT carrier FROM batch WHERE tenant_id = $1 AND id = $2) AND state = 'delayed'

-- name: stop_running
UPDATE job SET cancel_requested = true, revision = revision + 1
WHERE batch_id = $1 AND state = 'running' AND leased_until < 'infinity' AND NOT cancel_requested
RETURNING id

-- name: purge
DELETE FROM batch WHERE id IN (
    SELECT id FROM batch WHERE created_at < statement_timestamp() - $1::interval
      AND NOT EXISTS (SELECT 1 FROM job WHERE batch_id = batch.id)
    LIMIT 1000)
