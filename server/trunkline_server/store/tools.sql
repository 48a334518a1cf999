-- Tools. $1 is the tenant; $2 and $3 are the id or, where that is null, the name.

-- name: create
INSERT INTO tool (tenant_id, tool_id, name, spec, key_version, secrets) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING tool_id, spec, create_time

-- name: find
SELECT tool_id, spec, create_time, key_version, secrets
FROM tool
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE tool_id = $2 END

-- name: page
SELECT tool_id, spec, create_time
FROM tool
WHERE tenant_id = $1 AND ($2::text IS NULL OR name COLLATE "C" > $2)
ORDER BY name COLLATE "C"
LIMIT $3

-- name: delete
DELETE FROM tool
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE tool_id = $2 END
RETURNING tool_id

-- name: use_approval
WITH forgotten AS (
    DELETE FROM tool_approval_used WHERE expire_time < now()
)
INSERT INTO tool_approval_used (token_digest, expire_time) VALUES ($1, now() + $2::interval)
ON CONFLICT (token_digest) DO NOTHING
RETURNING true
