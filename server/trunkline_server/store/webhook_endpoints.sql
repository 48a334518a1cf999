Endpoints that webhooks are sent to, with their sealed secrets.

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

-- name: give_up
SELECT webhook_give_up($1, $2)

-- name: empty
DELETE FROM webhook_delivery WHERE number IN (
    SELECT number FROM webhook_delivery WHERE tenant_id = $1 AND endpoint_id = $2 LIMIT $3)

-- name: delete
DELETE FROM webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2

-- name: rotate
UPDATE webhook_endpoint SET
    old_key_version = key_version, old_secret = secret, old_until = clock_timestamp() + $5::interval,
    key_version = $3, secret = $4, secret_time = clock_timestamp(), public_key = $6
WHERE tenant_id = $1 AND endpoint_id = $2
RETURNING *
