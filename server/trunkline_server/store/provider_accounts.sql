-- Tenants' own accounts at providers. Every change is announced on `trunkline_provider_accounts`, and is in the audit.

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('trunkline provider accounts ' || $1::uuid::text, 0))

-- name: clear_default
UPDATE provider_account SET is_default = false WHERE tenant_id = $1 AND provider = $2 AND is_default

-- name: create
INSERT INTO provider_account (account_id, tenant_id, provider, name, key_version, api_key, created_by, is_default)
SELECT $1, $2, $3, $4, $5, $6, $7, NOT EXISTS (
    SELECT FROM provider_account WHERE tenant_id = $2 AND provider = $3 AND is_default
)
ON CONFLICT (tenant_id, provider, name) DO NOTHING
RETURNING *

-- name: find
SELECT * FROM provider_account WHERE tenant_id = $1 AND account_id = $2

-- name: list
SELECT * FROM provider_account
WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR (create_time, account_id) > ($2, $3::uuid))
ORDER BY create_time, account_id
LIMIT $4

-- name: defaults
SELECT tenant_id, provider, account_id FROM provider_account WHERE is_default

-- name: rotate
UPDATE provider_account SET key_version = $3, api_key = $4, rotate_time = now()
WHERE tenant_id = $1 AND account_id = $2
RETURNING *

-- name: sealed_before
SELECT account_id, key_version, api_key FROM provider_account WHERE tenant_id = $1 AND key_version < $2 FOR UPDATE

-- name: reseal
UPDATE provider_account SET key_version = $3, api_key = $4 WHERE tenant_id = $1 AND account_id = $2

-- name: make_default
UPDATE provider_account SET is_default = true WHERE tenant_id = $1 AND account_id = $2 RETURNING *

-- name: delete
DELETE FROM provider_account WHERE tenant_id = $1 AND account_id = $2 RETURNING *

-- name: default_to_oldest
UPDATE provider_account SET is_default = true
WHERE account_id = (
    SELECT account_id FROM provider_account WHERE tenant_id = $1 AND provider = $2 ORDER BY create_time, account_id LIMIT 1
)

-- name: note
WITH noted AS (
    INSERT INTO provider_account_audit (tenant_id, account_id, action, principal, request_id) VALUES ($1, $2, $3, $4, $5)
)
SELECT pg_notify('trunkline_provider_accounts', $2::uuid::text) WHERE $3 <> 'use'
