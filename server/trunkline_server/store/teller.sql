Events that were told, those of calls only where somebody wants them.

-- name: tell
WITH told AS (
    INSERT INTO event (tenant_id, type, body)
    SELECT tenant_id, type, body::json
    FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS new (tenant_id, type, body, nth)
    WHERE NOT event_is_of_call(type) OR event_is_wanted(tenant_id, type)
    ORDER BY nth
    RETURNING 1
)
SELECT pg_notify('trunkline_events', '') WHERE EXISTS (SELECT FROM told)
