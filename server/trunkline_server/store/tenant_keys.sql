-- The keys that tenants' secrets are sealed with, wrapped with a key of the installation.

-- name: newest
SELECT version, kek_version, wrapped FROM tenant_key WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1

-- name: find
SELECT version, kek_version, wrapped FROM tenant_key WHERE tenant_id = $1 AND version = $2

-- name: make
INSERT INTO tenant_key (tenant_id, version, kek_version, wrapped) VALUES ($1, 1, $2, $3) ON CONFLICT DO NOTHING

-- name: tenants
SELECT DISTINCT tenant_id FROM tenant_key WHERE $1::uuid IS NULL OR tenant_id = $1 ORDER BY tenant_id

-- name: add
INSERT INTO tenant_key (tenant_id, version, kek_version, wrapped) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING

-- name: of_each_kek
SELECT DISTINCT ON (kek_version) tenant_id, version, kek_version, wrapped FROM tenant_key ORDER BY kek_version

-- name: older
SELECT tenant_id, version, kek_version, wrapped FROM tenant_key WHERE kek_version <> $1 FOR UPDATE

-- name: rewrap
UPDATE tenant_key SET kek_version = $3, wrapped = $4 WHERE tenant_id = $1 AND version = $2
