Events of tenants' own, counted beside their calls.

-- name: record
SELECT custom_event_record($1, $2, $3, $4, $5)

-- name: sums
SELECT name, count(*), sum(value)
FROM custom_event
WHERE tenant_id = $1 AND create_time >= $2 AND create_time < $3 AND ($4 = '' OR user_id = $4)
GROUP BY name
ORDER BY 2 DESC, 1
LIMIT $5
