Wishes for events of calls.

-- name: note
INSERT INTO event_wish (tenant_id, type, until)
SELECT $1, type, clock_timestamp() + $3::interval FROM unnest($2::text[]) AS type
ON CONFLICT (tenant_id, type) DO UPDATE SET until = greatest(event_wish.until, excluded.until)

-- name: purge
DELETE FROM event_wish WHERE until < clock_timestamp()
