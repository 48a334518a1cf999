Webhooks: endpoints and what is sent to them. What is decided is decided by the functions in the migrations.

-- name: create
INSERT INTO webhook_endpoint (endpoint_id, tenant_id, uri, description, types, for_callbacks, key_version, secret,
    public_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING
RETURNING *

-- name: find
SELECT * FROM webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2

-- name: list
SELECT * FROM webhook_endpoint WHERE tenant_id = $1 AND number > $2 ORDER BY number LIMIT $3

-- name: has_callbacks
SELECT EXISTS (SELECT 1 FROM webhook_endpoint WHERE tenant_id = $1 AND for_callbacks AND enabled)

-- name: update
UPDATE webhook_endpoint SET
    uri = coalesce($3, uri), description = coalesce($4, description), types = coalesce($5::text[], types),
    enabled = enabled OR coalesce($6, false),
    disabled_reason = CASE WHEN $6 THEN '' ELSE disabled_reason END,
    failing_since = CASE WHEN $6 THEN NULL ELSE failing_since END,
    active_since = CASE WHEN $6 AND NOT enabled THEN clock_timestamp() ELSE active_since END
WHERE tenant_id = $1 AND endpoint_id = $2
RETURNING *

-- name: disable
SELECT webhook_disable($1, $2)

-- name: delete
DELETE FROM webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2

-- name: rotate
UPDATE webhook_endpoint SET
    old_key_version = key_version, old_secret = secret, old_until = clock_timestamp() + $5::interval,
    key_version = $3, secret = $4, secret_time = clock_timestamp(), public_key = $6
WHERE tenant_id = $1 AND endpoint_id = $2
RETURNING *

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

-- name: deliveries
SELECT * FROM webhook_delivery
WHERE tenant_id = $1 AND ($2::bigint IS NULL OR number < $2) AND ($3::uuid IS NULL OR endpoint_id = $3)
  AND ($4::text IS NULL OR state = $4) AND ($5::uuid IS NULL OR event_id = $5)
ORDER BY number DESC
LIMIT $6

-- name: again
UPDATE webhook_delivery AS d SET state = 'waiting', attempt = 0, next_time = clock_timestamp(), end_time = NULL
FROM webhook_endpoint AS p
WHERE p.endpoint_id = d.endpoint_id AND p.enabled AND d.tenant_id = $1 AND d.delivery_id = $2 AND d.state <> 'waiting'

-- name: has_delivery
SELECT EXISTS (SELECT 1 FROM webhook_delivery WHERE tenant_id = $1 AND delivery_id = $2)

-- name: failed_again
UPDATE webhook_delivery AS d SET state = 'waiting', attempt = 0, next_time = clock_timestamp(), end_time = NULL
FROM webhook_endpoint AS p
WHERE p.endpoint_id = d.endpoint_id AND p.enabled AND d.tenant_id = $1 AND d.endpoint_id = $2 AND d.state = 'failed'
  AND ($3::timestamptz IS NULL OR d.create_time >= $3)

-- name: purge
DELETE FROM webhook_delivery WHERE number IN (
    SELECT number FROM webhook_delivery WHERE end_time < clock_timestamp() - $1::interval ORDER BY end_time LIMIT $2)
