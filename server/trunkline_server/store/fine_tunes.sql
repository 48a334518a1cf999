-- Fine-tunes. What the job that carries one writes needs its lease.

-- name: create
INSERT INTO fine_tune (fine_tune_id, tenant_id, user_id, key_id, provider, account_id, base_model, wanted, price,
    estimated_tokens, held_account, held_nanos)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- It is over when its carrier is, and so is paid for then. A carrier that has ended before it has failed, and says why.
-- name: find
SELECT f.fine_tune_id, f.tenant_id, f.user_id, f.key_id, f.provider, f.account_id, f.base_model, f.wanted, f.price,
    f.estimated_tokens, f.held_account, f.held_nanos,
    CASE WHEN (f.end_time IS NULL) = (job.ended_at IS NULL) OR job.id IS NULL THEN f.state
        WHEN f.end_time IS NULL THEN 'failed' ELSE 'running' END AS state,
    f.cancel_requested, f.provider_model, f.trained_tokens, f.basis, f.cost_nano_usd, f.charge_nanos, f.error_code,
    coalesce(f.error, job.error) AS error, f.create_time,
    CASE WHEN job.id IS NULL THEN f.end_time ELSE job.ended_at END AS end_time
FROM fine_tune AS f LEFT JOIN job ON job.id = f.fine_tune_id
WHERE f.tenant_id = $1 AND f.fine_tune_id = $2

-- name: page
SELECT f.fine_tune_id, f.tenant_id, f.user_id, f.key_id, f.provider, f.account_id, f.base_model, f.wanted, f.price,
    f.estimated_tokens, f.held_account, f.held_nanos,
    CASE WHEN (f.end_time IS NULL) = (job.ended_at IS NULL) OR job.id IS NULL THEN f.state
        WHEN f.end_time IS NULL THEN 'failed' ELSE 'running' END AS state,
    f.cancel_requested, f.provider_model, f.trained_tokens, f.basis, f.cost_nano_usd, f.charge_nanos, f.error_code,
    coalesce(f.error, job.error) AS error, f.create_time,
    CASE WHEN job.id IS NULL THEN f.end_time ELSE job.ended_at END AS end_time
FROM fine_tune AS f LEFT JOIN job ON job.id = f.fine_tune_id
WHERE f.tenant_id = $1 AND ($2::uuid IS NULL OR f.fine_tune_id < $2)
ORDER BY f.fine_tune_id DESC
LIMIT $3

-- name: carried
SELECT fine_tune_id, tenant_id, user_id, key_id, provider, account_id, base_model, wanted, price, estimated_tokens,
    held_account, held_nanos, state, cancel_requested, provider_model, trained_tokens, basis, cost_nano_usd,
    charge_nanos, error_code, error, create_time, end_time
FROM fine_tune
WHERE fine_tune_id = $1

-- Its carrier looks at once.
-- name: cancel
WITH wanted AS (
    UPDATE fine_tune SET cancel_requested = true
    WHERE tenant_id = $1 AND fine_tune_id = $2 AND end_time IS NULL
    RETURNING fine_tune_id
)
UPDATE job SET run_at = clock_timestamp() FROM wanted WHERE job.id = wanted.fine_tune_id AND job.state = 'delayed'

-- name: note
UPDATE fine_tune SET state = $3
WHERE fine_tune_id = $1 AND end_time IS NULL AND state <> $3
  AND EXISTS (SELECT 1 FROM job WHERE id = $1 AND lease_token = $2 AND state = 'running')

-- name: end
UPDATE fine_tune SET state = $3, provider_model = $4, trained_tokens = $5, basis = $6, cost_nano_usd = $7,
    charge_nanos = $8, error_code = $9, end_time = clock_timestamp()
WHERE fine_tune_id = $1 AND end_time IS NULL
  AND EXISTS (SELECT 1 FROM job WHERE id = $1 AND lease_token = $2 AND state = 'running')

-- name: end_lost
UPDATE fine_tune SET state = 'failed', error = job.error, end_time = job.ended_at
FROM job
WHERE job.id = fine_tune_id AND end_time IS NULL AND job.ended_at IS NOT NULL
RETURNING fine_tune.tenant_id, fine_tune_id

-- name: keep_checkpoints
INSERT INTO fine_tune_checkpoint (fine_tune_id, step, provider_model, checkpoint)
SELECT $1, step, provider_model, checkpoint
FROM unnest($2::bigint[], $3::text[], $4::bytea[]) AS told (step, provider_model, checkpoint)
ON CONFLICT DO NOTHING

-- name: checkpoints
SELECT checkpoint FROM fine_tune_checkpoint WHERE fine_tune_id = $1 ORDER BY step LIMIT 1000

-- name: keep_events
INSERT INTO fine_tune_event (fine_tune_id, named, event)
SELECT $1, named, event
FROM unnest($2::text[], $3::bytea[]) WITH ORDINALITY AS told (named, event, nth)
ORDER BY nth
ON CONFLICT DO NOTHING

-- name: events
SELECT place, event FROM fine_tune_event WHERE fine_tune_id = $1 AND place > $2 ORDER BY place LIMIT $3
