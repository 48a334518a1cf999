-- Collections. $1 is the tenant; $2 and $3 are the id or, where that is null, the name.

-- name: create
INSERT INTO collection (tenant_id, collection_id, name, spec, store, layout) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING collection_id, spec, store, layout, create_time

-- name: find
SELECT collection_id, spec, store, layout, create_time
FROM collection
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE collection_id = $2 END

-- name: page
SELECT collection_id, spec, store, layout, create_time
FROM collection
WHERE tenant_id = $1 AND ($2::text IS NULL OR name COLLATE "C" > $2)
ORDER BY name COLLATE "C"
LIMIT $3

-- The one whose turn it is, which has had it with this; another replica takes the next.
-- name: due
UPDATE collection SET sweep_time = now()
WHERE collection_id = (
    SELECT collection_id FROM collection WHERE sweep_time < now() - $1::interval
    ORDER BY sweep_time LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING collection_id, spec, store, layout, create_time

-- name: want_sweep
UPDATE collection SET sweep_time = '-infinity' WHERE collection_id = $1

-- name: counts
SELECT count(*) AS documents, coalesce(sum(chunk_count), 0)::bigint AS chunks
FROM collection_document
WHERE collection_id = $1

-- name: delete
DELETE FROM collection WHERE tenant_id = $1 AND collection_id = $2
