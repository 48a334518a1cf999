-- name: notify
SELECT pg_notify($1, $2)

-- name: ping
SELECT 1

-- name: act_as
SELECT set_config('trunkline.actor', $1, true)

-- For the rest of a transaction. $1: milliseconds.
-- name: be_patient
SELECT set_config(setting, $1, true) FROM unnest(ARRAY['statement_timeout', 'lock_timeout']) AS setting
