-- Rate limits as operators set them; a trigger announces every change on `trunkline_limits`.

-- name: all
SELECT tenant_id, name, user_id, key_id, provider, model, team, unit, amount, window_us, algorithm, burst
FROM rate_limit ORDER BY tenant_id, name COLLATE "C"

-- name: set
INSERT INTO rate_limit (tenant_id, name, user_id, key_id, provider, model, team, unit, amount, window_us, algorithm,
                        burst, set_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (tenant_id, name) DO UPDATE SET
    user_id = excluded.user_id, key_id = excluded.key_id, provider = excluded.provider, model = excluded.model,
    team = excluded.team, unit = excluded.unit, amount = excluded.amount, window_us = excluded.window_us,
    algorithm = excluded.algorithm, burst = excluded.burst, set_by = excluded.set_by, set_time = now()

-- name: delete
DELETE FROM rate_limit WHERE tenant_id = $1 AND name = $2 RETURNING name
