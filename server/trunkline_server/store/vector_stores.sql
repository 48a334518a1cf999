-- Vector stores at providers. A file that is deleted is in none of them.

-- name: intend
INSERT INTO vector_store (vector_store_id, tenant_id, provider, account_id, name) VALUES ($1, $2, $3, $4, $5)

-- name: keep
UPDATE vector_store SET provider_store_id = $2 WHERE vector_store_id = $1

-- name: find
SELECT vector_store_id, provider, account_id, name, provider_store_id, create_time, file_ids, names
FROM vector_store, LATERAL (
    SELECT coalesce(array_agg(file_id ORDER BY file_id), '{}') AS file_ids,
           coalesce(array_agg(provider_file_id ORDER BY file_id), '{}') AS names
    FROM vector_store_file JOIN file USING (file_id)
    WHERE vector_store_file.vector_store_id = vector_store.vector_store_id AND NOT is_gone
) AS content
WHERE tenant_id = $1 AND vector_store_id = $2 AND provider_store_id IS NOT NULL

-- name: page
SELECT vector_store_id, provider, account_id, name, provider_store_id, create_time, file_ids, names
FROM vector_store, LATERAL (
    SELECT coalesce(array_agg(file_id ORDER BY file_id), '{}') AS file_ids,
           coalesce(array_agg(provider_file_id ORDER BY file_id), '{}') AS names
    FROM vector_store_file JOIN file USING (file_id)
    WHERE vector_store_file.vector_store_id = vector_store.vector_store_id AND NOT is_gone
) AS content
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR vector_store_id < $2) AND provider_store_id IS NOT NULL
ORDER BY vector_store_id DESC
LIMIT $3

-- name: forget
DELETE FROM vector_store WHERE vector_store_id = $1

-- name: add
INSERT INTO vector_store_file (vector_store_id, file_id, provider_file_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: remove
DELETE FROM vector_store_file WHERE vector_store_id = $1 AND file_id = $2
