Accounts, always with every column in the order of the `Account` struct.

-- name: resolve
SELECT id, tenant_id, owner_type, owner_id, provider, model, unlimited, suspended, overdraft_limit, low_balance_nanos,
       posted_credit, posted_debit, held, overrun, version, created_at, lapse_at
FROM account
WHERE tenant_id = $1 AND owner_type = $2 AND owner_id = $3
  AND (provider, model) IN (($4::text, $5::text), ($4, '*'), ('*', '*'))
ORDER BY provider = '*', model = '*'
LIMIT 1

-- name: open
SELECT id, tenant_id, owner_type, owner_id, provider, model, unlimited, suspended, overdraft_limit, low_balance_nanos,
       posted_credit, posted_debit, held, overrun, version, created_at, lapse_at
FROM ledger_open($1, $2, $3, $4, $5, $6, $7)

-- name: get
SELECT id, tenant_id, owner_type, owner_id, provider, model, unlimited, suspended, overdraft_limit, low_balance_nanos,
       posted_credit, posted_debit, held, overrun, version, created_at, lapse_at
FROM account
WHERE tenant_id = $1 AND id = $2

-- name: list
SELECT id, tenant_id, owner_type, owner_id, provider, model, unlimited, suspended, overdraft_limit, low_balance_nanos,
       posted_credit, posted_debit, held, overrun, version, created_at, lapse_at
FROM account
WHERE tenant_id = $1
  AND ($2::text IS NULL OR (owner_type, owner_id) = ($2, $3::text))
  AND ($4::timestamptz IS NULL OR (created_at, id) > ($4, $5::uuid))
ORDER BY created_at, id
LIMIT $6

-- name: update
SELECT id, tenant_id, owner_type, owner_id, provider, model, unlimited, suspended, overdraft_limit, low_balance_nanos,
       posted_credit, posted_debit, held, overrun, version, created_at, lapse_at
FROM ledger_configure($1, $2, $3, $4, $5, $6)
WHERE id IS NOT NULL
