-- MCP servers. $1 is the tenant; $2 and $3 are the id or, where that is null, the name.

-- name: create
INSERT INTO mcp_server (tenant_id, server_id, name, spec, key_version, secrets) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING server_id, tenant_id, spec, create_time, refresh_time

-- name: keep_operators
-- The operator's, as the settings have it now.
INSERT INTO mcp_server (server_id, name, spec) VALUES ($1, $2, $3)
ON CONFLICT (name) WHERE tenant_id IS NULL DO UPDATE SET spec = excluded.spec
RETURNING server_id, tenant_id, spec, create_time, refresh_time

-- name: find
SELECT server_id, tenant_id, spec, create_time, refresh_time
FROM mcp_server
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE server_id = $2 END

-- name: find_operators
SELECT server_id, tenant_id, spec, create_time, refresh_time FROM mcp_server WHERE tenant_id IS NULL AND name = $1

-- name: secrets
SELECT key_version, secrets FROM mcp_server WHERE tenant_id = $1 AND server_id = $2

-- name: page
SELECT server_id, tenant_id, spec, create_time, refresh_time
FROM mcp_server
WHERE tenant_id = $1 AND ($2::text IS NULL OR name COLLATE "C" > $2)
ORDER BY name COLLATE "C"
LIMIT $3

-- name: delete
DELETE FROM mcp_server WHERE tenant_id = $1 AND server_id = $2 RETURNING server_id

-- name: touch
-- Whether it had told its tools before; locks the row.
UPDATE mcp_server AS now SET refresh_time = now()
FROM (SELECT server_id, refresh_time FROM mcp_server WHERE server_id = $1 FOR UPDATE) AS before
WHERE now.server_id = before.server_id
RETURNING before.refresh_time IS NOT NULL

-- name: forget_told
UPDATE mcp_tool SET told_description = NULL, told_parameters = NULL, told_digest = NULL WHERE server_id = $1

-- name: tell
INSERT INTO mcp_tool (server_id, name, told_description, told_parameters, told_digest)
SELECT $1, name, description, parameters, digest
FROM unnest($2::text[], $3::text[], $4::text[], $5::bytea[]) AS told (name, description, parameters, digest)
ON CONFLICT (server_id, name) DO UPDATE
SET told_description = excluded.told_description,
    told_parameters = excluded.told_parameters,
    told_digest = excluded.told_digest

-- name: approve
UPDATE mcp_tool SET description = told_description, parameters = told_parameters, digest = told_digest
WHERE server_id = $1 AND digest IS DISTINCT FROM told_digest AND told_digest IS NOT NULL

-- name: drop_gone
DELETE FROM mcp_tool WHERE server_id = $1 AND told_digest IS NULL

-- name: tools
SELECT name, description, parameters, digest, told_description, told_parameters, told_digest
FROM mcp_tool
WHERE server_id = $1 AND ($2::text IS NULL OR name COLLATE "C" > $2)
ORDER BY name COLLATE "C"
LIMIT $3

-- name: tool
SELECT name, description, parameters, digest, told_description, told_parameters, told_digest
FROM mcp_tool
WHERE server_id = $1 AND name = $2
