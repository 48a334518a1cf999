-- The connection that hears announcements.

-- name: probe
SELECT 1
