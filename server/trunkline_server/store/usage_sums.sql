Sums over what calls used. Hours and days that were summed in advance are taken from there, the rest from the rows.

-- name: patience
SET LOCAL statement_timeout = '20s'

-- name: rolled
SELECT floor, until FROM rollup

-- name: held_count
SELECT count(*) FROM hold WHERE state = 'held' AND tenant_id = $1

-- Of $1 tenant from $2 to $3, of which $9 to $10 was summed in advance: by the hour, or by the day where $11. What
-- repricing has changed is by the hour there, and by the call in the rows.
-- name: sums
WITH line AS (
    SELECT create_time AS at, user_id, provider, model, operation, key_id, coalesce(labels ->> $13, '') AS label, calls,
           failed, cancelled, reported, attempts, input_tokens, cached_input_tokens, cache_write_input_tokens,
           output_tokens, reasoning_output_tokens, cost_nano_usd + coalesce(mended.cost, 0) AS cost_nano_usd,
           charge_nanos + coalesce(mended.charge, 0) AS charge_nanos, coalesce(mended.charge, 0) AS repriced_nanos,
           duration_ms, first_tokens, first_token_ms, speaking_ms
    FROM usage_line LEFT JOIN (
        SELECT completion_id, sum(cost_nano_usd) AS cost, sum(charge_nanos) AS charge
        FROM repricing WHERE tenant_id = $1 GROUP BY completion_id
    ) AS mended USING (completion_id)
    WHERE tenant_id = $1
      AND (create_time >= $2 AND create_time < $9 OR create_time >= $10 AND create_time < $3)
      AND ($12::jsonb = '{}' OR labels @> $12)
    UNION ALL
    SELECT start_time, '', provider, model, operation, '', '', calls,
           failed, cancelled, reported, attempts, input_tokens, cached_input_tokens, cache_write_input_tokens,
           output_tokens, reasoning_output_tokens, cost_nano_usd, charge_nanos, 0,
           duration_ms, first_tokens, first_token_ms, speaking_ms
    FROM usage_hour
    WHERE NOT $11 AND tenant_id = $1 AND start_time >= $9 AND start_time < $10
    UNION ALL
    SELECT start_time, user_id, provider, model, operation, key_id, '', calls,
           failed, cancelled, reported, attempts, input_tokens, cached_input_tokens, cache_write_input_tokens,
           output_tokens, reasoning_output_tokens, cost_nano_usd, charge_nanos, 0,
           duration_ms, first_tokens, first_token_ms, speaking_ms
    FROM usage_day
    WHERE $11 AND tenant_id = $1 AND start_time >= $9 AND start_time < $10
    UNION ALL
    SELECT start_time, user_id, provider, model, operation, key_id, '', 0,
           0, 0, 0, 0, 0, 0, 0,
           0, 0, cost_nano_usd, charge_nanos, charge_nanos,
           0, 0, 0, 0
    FROM usage_mended
    WHERE tenant_id = $1 AND start_time >= $9 AND start_time < $10
)
SELECT CASE WHEN 'hour' = ANY ($8::text[]) THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24')
            WHEN 'day' = ANY ($8) THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
            WHEN 'week' = ANY ($8) THEN to_char(date_trunc('week', at AT TIME ZONE 'UTC'), 'YYYY-MM-DD')
            WHEN 'month' = ANY ($8) THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-01') ELSE '' END,
       CASE WHEN 'user_id' = ANY ($8) THEN user_id ELSE '' END,
       CASE WHEN 'provider' = ANY ($8) THEN provider ELSE '' END,
       CASE WHEN 'model' = ANY ($8) THEN model ELSE '' END,
       CASE WHEN 'operation' = ANY ($8) THEN operation ELSE '' END,
       CASE WHEN 'key_id' = ANY ($8) THEN key_id ELSE '' END,
       CASE WHEN 'label' = ANY ($8) THEN label ELSE '' END,
       sum(calls)::bigint, sum(failed)::bigint, sum(cancelled)::bigint, sum(reported)::bigint, sum(attempts)::bigint,
       sum(input_tokens)::bigint, sum(cached_input_tokens)::bigint, sum(cache_write_input_tokens)::bigint,
       sum(output_tokens)::bigint, sum(reasoning_output_tokens)::bigint,
       sum(cost_nano_usd)::bigint, sum(charge_nanos)::bigint, sum(repriced_nanos)::bigint,
       sum(duration_ms)::bigint, sum(first_tokens)::bigint, sum(first_token_ms)::bigint, sum(speaking_ms)::bigint
FROM line
WHERE ($4 = '' OR user_id = $4) AND ($5 = '' OR provider = $5) AND ($6 = '' OR model = $6)
  AND ($7 = '' OR operation = $7)
GROUP BY 1, 2, 3, 4, 5, 6, 7
HAVING sum(calls) > 0
ORDER BY 1, 2, 3, 4, 5, 6, 7
LIMIT $14 OFFSET $15
