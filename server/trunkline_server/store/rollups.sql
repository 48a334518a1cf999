What is summed in advance; see the migration for what each does.

-- name: patience
SET LOCAL statement_timeout = '60s'

-- Whether an hour is over that was not summed yet.
-- name: due
SELECT coalesce((SELECT until <= clock_timestamp() - interval '1 hour' FROM rollup), true)

-- name: quiet
SELECT usage_quiet_until()

-- name: step
SELECT rollup_step($1, $2)

-- name: retain
SELECT rollup_retain($1)

-- name: again
SELECT rollup_again($1)
