-- API keys. Every change is announced on `trunkline_keys` in the same transaction, so that no process believes an old row for long.

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('trunkline first key', 0))

-- name: create
WITH changed AS (
    INSERT INTO api_key (key_id, tenant_id, environment, name, scopes, models, secret_hash, expire_time, created_by,
                         priority, public_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    RETURNING *
)
SELECT changed.*, pg_notify('trunkline_keys', key_id) FROM changed

-- name: find
SELECT * FROM api_key WHERE key_id = $1

-- name: list
SELECT * FROM api_key
WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR (create_time, key_id) > ($2, $3::text))
ORDER BY create_time, key_id
LIMIT $4

-- name: revoke
WITH changed AS (
    UPDATE api_key SET revoke_time = coalesce(revoke_time, now()) WHERE tenant_id = $1 AND key_id = $2 RETURNING *
)
SELECT changed.*, pg_notify('trunkline_keys', key_id) FROM changed

-- name: rotate
WITH changed AS (
    UPDATE api_key
    SET previous_secret_hash = secret_hash, previous_public_key = public_key,
        previous_expire_time = now() + $4::interval, secret_hash = $3, public_key = $5
    WHERE tenant_id = $1 AND key_id = $2 AND revoke_time IS NULL
    RETURNING *
)
SELECT changed.*, pg_notify('trunkline_keys', key_id) FROM changed

-- name: note_use
UPDATE api_key SET last_use_time = now() WHERE key_id = ANY ($1::text[])
