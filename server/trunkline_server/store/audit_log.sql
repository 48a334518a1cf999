The audit. Triggers write it (`store/migrations`); here it is read, and its heads are signed.

-- name: note
SELECT audit_append($1, $2, $3)

-- name: list
SELECT tenant_id, sequence, create_time, principal, action, resource, method, request_id, hash
FROM audit_entry
WHERE tenant_id = $1 AND ($2::bigint IS NULL OR sequence < $2)
  AND ($4 = '' OR principal = $4) AND ($5 = '' OR action = $5 OR starts_with(action, $5 || '.'))
  AND ($6 = '' OR resource = $6)
ORDER BY sequence DESC
LIMIT $3

-- name: after
SELECT tenant_id, sequence, create_time, principal, action, resource, method, request_id, hash
FROM audit_entry
WHERE tenant_id = $1 AND sequence > $2 AND sequence <= $3
ORDER BY sequence
LIMIT $4

-- name: head
SELECT tenant_id, sequence, hash FROM audit_head WHERE tenant_id = $1

-- name: unsigned
SELECT tenant_id, sequence, hash FROM audit_head
WHERE NOT EXISTS (
    SELECT FROM audit_signature AS made
    WHERE made.tenant_id = audit_head.tenant_id AND made.sequence = audit_head.sequence)
LIMIT $1

-- name: sign
INSERT INTO audit_signature (tenant_id, sequence, signature) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: signatures
SELECT sequence, signature FROM audit_signature WHERE tenant_id = $1 AND sequence > $2 AND sequence <= $3

-- name: last_signed
SELECT coalesce(max(sequence), 0) FROM audit_signature WHERE tenant_id = $1
