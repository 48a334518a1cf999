Looks at providers.

-- Those that are not looked at any more are forgotten.
-- name: note
WITH found AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::integer[]) AS found (provider, failure_kind, duration_ms)
), gone AS (
    DELETE FROM provider_check WHERE provider <> ALL ($1::text[])
)
INSERT INTO provider_check (provider, failure_kind, failures, duration_ms)
SELECT provider, failure_kind, CASE failure_kind WHEN '' THEN 0 ELSE 1 END, duration_ms FROM found
ON CONFLICT (provider) DO UPDATE SET
    failure_kind = excluded.failure_kind,
    failures = CASE excluded.failure_kind WHEN '' THEN 0 ELSE provider_check.failures + 1 END,
    duration_ms = excluded.duration_ms,
    check_time = excluded.check_time

-- name: all
SELECT provider, failure_kind, failures, duration_ms, check_time FROM provider_check
WHERE check_time > clock_timestamp() - make_interval(secs => $1)
ORDER BY provider
