-- Tenants: who pays, and whose data it is.

-- name: create
INSERT INTO tenant (tenant_id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING *

-- name: find
SELECT * FROM tenant WHERE tenant_id = $1

-- name: find_named
SELECT * FROM tenant WHERE name = $1

-- name: list
SELECT * FROM tenant
WHERE $1::timestamptz IS NULL OR (create_time, tenant_id) > ($1, $2::uuid)
ORDER BY create_time, tenant_id
LIMIT $3

-- name: suspend
WITH changed AS (UPDATE tenant SET suspended = $2 WHERE tenant_id = $1 RETURNING *)
SELECT changed.*, pg_notify('trunkline_tenants', tenant_id::text) FROM changed
