-- Assistants. $1 is the tenant; $2 and $3 are the id or, where that is null, the name.

-- name: create
INSERT INTO assistant (tenant_id, assistant_id, name, persona) VALUES ($1, $2, $3, $4)
RETURNING assistant_id, persona, create_time, update_time

-- name: find
SELECT assistant_id, persona, create_time, update_time
FROM assistant
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE assistant_id = $2 END

-- name: page
SELECT assistant_id, persona, create_time, update_time
FROM assistant
WHERE tenant_id = $1 AND ($2::text IS NULL OR name COLLATE "C" > $2)
ORDER BY name COLLATE "C"
LIMIT $3

-- name: update
UPDATE assistant SET name = $4, persona = $5, update_time = now()
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE assistant_id = $2 END
RETURNING assistant_id, persona, create_time, update_time

-- name: delete
DELETE FROM assistant
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE assistant_id = $2 END
RETURNING assistant_id
