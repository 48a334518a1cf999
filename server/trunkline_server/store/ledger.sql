Holds and transfers. What is decided, is decided by the functions in the migrations.

-- name: due
SELECT id, account_id FROM hold WHERE state = 'held' AND expires_at <= statement_timestamp() ORDER BY expires_at LIMIT $1

-- name: get_hold
SELECT id, tenant_id, account_id, state, amount, charged, provider, model, price_version, request_id,
       expires_at, created_at, closed_at
FROM hold
WHERE tenant_id = $1 AND id = $2

-- name: list_entries
SELECT t.id, t.account_id, t.kind, t.amount, t.balance_after, t.hold_id, t.request_id, t.reason, t.created_at,
       hold.request_id IS NOT NULL
FROM transfer AS t LEFT JOIN hold ON hold.id = t.hold_id
WHERE t.tenant_id = $1 AND t.account_id = $2 AND t.id < $3
ORDER BY t.id DESC
LIMIT $4
