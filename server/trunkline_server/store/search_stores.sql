-- Vector stores that calls had made of their files.

-- name: use
UPDATE search_store SET use_time = now()
WHERE tenant_id = $1 AND provider = $2 AND account_id = $3 AND file_ids = $4 AND NOT is_gone
RETURNING search_store_id, provider_store_id, coalesce(ready_time > now() - $5::interval, false) AS is_ready

-- name: known
SELECT provider_store_id FROM search_store
WHERE tenant_id = $1 AND provider = $2 AND account_id = $3 AND file_ids = $4 AND NOT is_gone

-- name: keep
INSERT INTO search_store AS kept (tenant_id, provider, account_id, file_ids, search_store_id, provider_store_id)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, provider, account_id, file_ids) WHERE NOT is_gone DO UPDATE SET use_time = now()
RETURNING search_store_id, provider_store_id, false AS is_ready

-- name: ready
UPDATE search_store SET ready_time = now() WHERE tenant_id = $1 AND search_store_id = $2

-- name: drop
UPDATE search_store SET is_gone = true WHERE tenant_id = $1 AND search_store_id = $2

-- name: retire
UPDATE search_store SET is_gone = true
WHERE NOT is_gone AND (use_time < now() - $1::interval OR EXISTS (
    SELECT FROM unnest(file_ids) AS meant (file_id) LEFT JOIN file USING (file_id)
    WHERE file.is_gone IS NOT false OR file.expire_time <= now()))

-- In any order, so that those that cannot be deleted do not keep others waiting.
-- name: gone
SELECT search_store_id, provider, account_id, provider_store_id
FROM search_store
WHERE is_gone
ORDER BY random()
LIMIT $1

-- name: forget
DELETE FROM search_store WHERE search_store_id = $1
