A word is not kept, so nobody waits until the disk has it.

-- name: announce
WITH at_once AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
SELECT pg_notify(channel, payload) FROM at_once, unnest($1::text[], $2::text[]) AS word (channel, payload)
