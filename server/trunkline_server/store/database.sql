-- name: notify
SELECT pg_notify($1, $2)

-- name: ping
SELECT 1

-- name: act_as
SELECT set_config('trunkline.actor', $1, true)
