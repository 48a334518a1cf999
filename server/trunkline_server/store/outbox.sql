Events in the order in which they became visible.

-- name: write
INSERT INTO event (tenant_id, type, body)
SELECT $1, type, body::json FROM unnest($2::text[], $3::text[]) AS new (type, body)

-- name: announce
SELECT pg_notify('trunkline_events', '')

-- name: sequence
SELECT event_sequence()

-- name: forgot
SELECT forgot FROM event_head

-- name: between
SELECT position, event_id, tenant_id, type, body::text, create_time
FROM event
WHERE tenant_id IN ($1, '00000000-0000-0000-0000-000000000000') AND position > $2 AND position <= $3 AND ($4::text[] IS NULL OR type = ANY ($4))
ORDER BY position
LIMIT $5

-- name: between_all
SELECT position, event_id, tenant_id, type, body::text, create_time
FROM event
WHERE position > $1 AND position <= $2
ORDER BY position
LIMIT $3

-- Of the first $2, those that are old: numbers rise with time, so what is behind them need not be looked at.
-- name: purge
WITH old AS (
    DELETE FROM event
    WHERE number IN (
        SELECT number FROM (SELECT number, position, create_time FROM event ORDER BY number LIMIT $2) AS first
        WHERE position IS NOT NULL AND create_time < clock_timestamp() - $1::interval)
    RETURNING position
), told AS (
    UPDATE event_head SET forgot = greatest(forgot, (SELECT max(position) FROM old))
    WHERE EXISTS (SELECT 1 FROM old)
)
SELECT count(*) FROM old

-- name: take
INSERT INTO event_checkpoint (name, position, owner, leased_until)
VALUES ($1, $3, $2, clock_timestamp() + $4::interval)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, leased_until = excluded.leased_until
WHERE event_checkpoint.owner = excluded.owner OR event_checkpoint.leased_until < clock_timestamp()
RETURNING position

-- name: advance
UPDATE event_checkpoint SET position = $3, leased_until = clock_timestamp() + $4::interval
WHERE name = $1 AND owner = $2

-- name: leave
UPDATE event_checkpoint SET leased_until = '-infinity' WHERE name = $1 AND owner = $2
