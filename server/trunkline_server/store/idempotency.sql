-- One row per request that named itself (`request_id`). All times are the database's: a gateway's clock may jump.

-- A new row, or a row whose owner is gone, or one that is too old to count. Where neither, the second half says what is there.
-- No row at all: somebody else inserted it after this statement began; ask again.
-- name: begin
WITH attempt AS (
    INSERT INTO idempotency AS it (tenant_id, principal, method, key, fingerprint, owner, lease_until)
    VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7::interval)
    ON CONFLICT (tenant_id, principal, method, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, owner = excluded.owner, lease_until = excluded.lease_until,
        fence = it.fence + 1, state = 'in_progress', completion_id = NULL, response = NULL, failed = false,
        trailers = NULL, create_time = clock_timestamp()
    WHERE it.lease_until < clock_timestamp()
        AND (it.state = 'in_progress' AND it.fingerprint = excluded.fingerprint
             OR it.create_time < clock_timestamp() - $8::interval)
    RETURNING fence
)
SELECT true AS fresh, fence, NULL::bytea AS fingerprint, NULL AS state, NULL::float8 AS lease_left_s,
    NULL::bytea AS response, false AS failed, NULL::jsonb AS trailers, NULL::uuid AS completion_id
FROM attempt
UNION ALL
SELECT false, fence, fingerprint, state, extract(epoch FROM lease_until - clock_timestamp())::float8,
    response, failed, trailers, completion_id
FROM idempotency
WHERE tenant_id = $1 AND principal = $2 AND method = $3 AND key = $4 AND NOT EXISTS (SELECT FROM attempt)

-- name: heartbeat
UPDATE idempotency SET lease_until = clock_timestamp() + $6::interval
WHERE tenant_id = $1 AND principal = $2 AND method = $3 AND key = $4 AND fence = $5 AND state = 'in_progress'

-- name: finish
UPDATE idempotency
SET state = 'done', lease_until = clock_timestamp(), response = $6, failed = $7, trailers = $8::text::jsonb,
    completion_id = $9
WHERE tenant_id = $1 AND principal = $2 AND method = $3 AND key = $4 AND fence = $5 AND state = 'in_progress'

-- name: forget
DELETE FROM idempotency
WHERE tenant_id = $1 AND principal = $2 AND method = $3 AND key = $4 AND fence = $5 AND state = 'in_progress'

-- name: find_result
SELECT response, failed, trailers, completion_id FROM idempotency
WHERE tenant_id = $1 AND completion_id = $2 AND state = 'done' AND create_time >= statement_timestamp() - $3::interval

-- name: purge
DELETE FROM idempotency WHERE (tenant_id, principal, method, key) IN (
    SELECT tenant_id, principal, method, key FROM idempotency
    WHERE create_time < statement_timestamp() - $1::interval AND lease_until < statement_timestamp()
    ORDER BY create_time
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
