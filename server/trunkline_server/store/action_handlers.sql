-- Who executes actions, in the order in which they are asked: ids rise with time.

-- name: create
INSERT INTO action_handler (handler_id, tenant_id, name, action_pattern, types, priority, needs_confirmation, uri,
                            entry_point, tool, key_version, secret, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING *

-- name: list
SELECT * FROM action_handler
WHERE tenant_id = $1 AND ($2::integer IS NULL OR (-priority, handler_id) > (-$2, $3::uuid))
ORDER BY priority DESC, handler_id
LIMIT $4

-- name: for_action
SELECT * FROM action_handler
WHERE tenant_id = $1
  AND (action_pattern = $2 OR right(action_pattern, 1) = '*' AND starts_with($2, rtrim(action_pattern, '*')))
  AND (types = '{}' OR $3 = ANY (types))
ORDER BY priority DESC, handler_id

-- name: delete
DELETE FROM action_handler WHERE tenant_id = $1 AND handler_id = $2 RETURNING *

-- name: confirm
INSERT INTO action_confirmation (mark, expire_time) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true

-- name: purge
DELETE FROM action_confirmation WHERE expire_time < now() - interval '1 hour'
