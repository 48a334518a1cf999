Schedules. Whoever holds the advisory lock of one runs it; the lock goes with the connection, so with the process.

-- name: know
INSERT INTO schedule (name, every_s, next_at) VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE SET every_s = excluded.every_s
WHERE schedule.every_s <> excluded.every_s

-- name: lock
SELECT pg_try_advisory_lock(7310578, hashtext($1))

-- name: unlock
SELECT pg_advisory_unlock(7310578, hashtext($1))

-- name: begin
UPDATE schedule SET begun_at = clock_timestamp(), next_at = clock_timestamp() + make_interval(secs => every_s)
WHERE name = $1 AND next_at <= clock_timestamp()
RETURNING name

-- name: end
UPDATE schedule SET ended_at = clock_timestamp(), failure = $2, run_count = run_count + 1 WHERE name = $1

-- name: hurry
UPDATE schedule SET next_at = clock_timestamp() WHERE name = $1 RETURNING name

-- name: all
SELECT name, every_s, next_at, begun_at, ended_at, failure, run_count FROM schedule ORDER BY name
