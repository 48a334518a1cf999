-- What tenants keep out of their calls; a trigger announces every change on `trunkline_guards`.

-- name: all
SELECT tenant_id, policy FROM guard_policy

-- name: find
SELECT policy FROM guard_policy WHERE tenant_id = $1

-- name: set
INSERT INTO guard_policy (tenant_id, policy, set_by) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id) DO UPDATE SET policy = excluded.policy, set_by = excluded.set_by, set_time = now()
