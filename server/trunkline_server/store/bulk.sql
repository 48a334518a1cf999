Batches that a provider does by itself. What is decided is decided by the functions in the migrations.

-- name: find
SELECT b.id, b.tenant_id, b.cancelled, c.key_id, c.allowed_models, c.provider, c.model
FROM batch AS b JOIN job AS c ON c.id = b.carrier
WHERE b.carrier = $1

-- name: begin
SELECT bulk_begin($1, $2, $3)

-- name: running
SELECT id, tenant_id, user_id, account, key_id, allowed_models, queue, kind, provider, model, priority, spec, stream, state,
       delay_reason, run_at, attempt, max_attempts, rescues, timeout_s, lease_token, cancel_requested, hold_id,
       hold_account, progress, progress_message, progress_at, result, error, error_reason, usage, cost_nano_usd,
       charge_nanos, fallback_model, batch_id, item_index, retry_of, labels::text, revision, created_at, started_at,
       ended_at, expires_at
FROM job
WHERE batch_id = $1 AND item_index > $2 AND state = 'running'
ORDER BY item_index
LIMIT $3

-- name: named
SELECT id, tenant_id, user_id, account, key_id, allowed_models, queue, kind, provider, model, priority, spec, stream, state,
       delay_reason, run_at, attempt, max_attempts, rescues, timeout_s, lease_token, cancel_requested, hold_id,
       hold_account, progress, progress_message, progress_at, result, error, error_reason, usage, cost_nano_usd,
       charge_nanos, fallback_model, batch_id, item_index, retry_of, labels::text, revision, created_at, started_at,
       ended_at, expires_at
FROM job
WHERE batch_id = $1 AND item_index = ANY ($2::integer[]) AND state = 'running'

-- name: end
SELECT bulk_end($1, $2, $3, $4, $5)
