What is sent to endpoints. What is decided is decided by the functions in the migrations.

-- name: fan_out
SELECT made, is_more FROM webhook_fan_out($1, $2)

-- name: add
INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, type, body)
SELECT tenant_id, endpoint_id, $3, $4, $5 FROM webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2 AND enabled
RETURNING *

-- name: claim
SELECT d.delivery_id, d.lease_token, d.tenant_id, d.endpoint_id, d.event_id, d.body, d.attempt,
       coalesce(nullif(d.callback_uri, ''), p.uri) AS uri, p.key_version, p.secret,
       CASE WHEN p.old_until > clock_timestamp() THEN p.old_key_version END AS old_key_version, p.old_secret
FROM webhook_claim($1, $2, $3) AS d JOIN webhook_endpoint AS p USING (endpoint_id)

-- name: finish
SELECT webhook_finish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: list
SELECT * FROM webhook_delivery
WHERE tenant_id = $1 AND ($2::bigint IS NULL OR number < $2) AND ($3::uuid IS NULL OR endpoint_id = $3)
  AND ($4::text IS NULL OR state = $4) AND ($5::uuid IS NULL OR event_id = $5)
ORDER BY number DESC
LIMIT $6

-- name: again
UPDATE webhook_delivery AS d SET state = 'waiting', attempt = 0, next_time = clock_timestamp(), end_time = NULL
FROM webhook_endpoint AS p
WHERE p.endpoint_id = d.endpoint_id AND p.enabled AND d.tenant_id = $1 AND d.delivery_id = $2 AND d.state <> 'waiting'

-- name: has
SELECT EXISTS (SELECT 1 FROM webhook_delivery WHERE tenant_id = $1 AND delivery_id = $2)

-- Some of them, in their order, behind the number $4; how many, and the last one's.
-- name: failed_again
WITH sent AS (
    UPDATE webhook_delivery SET state = 'waiting', attempt = 0, next_time = clock_timestamp(), end_time = NULL
    WHERE number IN (
        SELECT d.number FROM webhook_delivery AS d JOIN webhook_endpoint AS p USING (endpoint_id)
        WHERE p.enabled AND d.tenant_id = $1 AND d.endpoint_id = $2 AND d.state = 'failed'
          AND ($3::timestamptz IS NULL OR d.create_time >= $3) AND d.number > $4
        ORDER BY d.number LIMIT $5 FOR UPDATE OF d)
    RETURNING number
)
SELECT count(*), max(number) FROM sent

-- name: purge
DELETE FROM webhook_delivery WHERE number IN (
    SELECT number FROM webhook_delivery WHERE end_time < statement_timestamp() - $1::interval ORDER BY end_time LIMIT $2)
