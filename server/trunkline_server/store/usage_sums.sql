Sums over what calls used. Hours and days that were summed in advance are taken from there, the rest from the rows.

-- Plans are made for the question: one for any would look at every column of every row.
-- name: patience
SET LOCAL statement_timeout = '20s'; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL work_mem = '32MB'

-- name: rolled
SELECT floor, until FROM rollup

-- name: held_count
SELECT count(*) FROM hold WHERE state = 'held' AND tenant_id = $1

-- Of $1 tenant from $2 to $3, of which $9 to $10 was summed in advance: $11 to $12 by the day, in the table $13, the rest
-- by the hour. What repricing has changed is by the hour there, and by the call in the rows.
-- name: sums
WITH line AS (
    SELECT date_trunc('hour', create_time, 'UTC') AS at, user_id, provider, model, operation, key_id,
           coalesce(labels ->> $15, '') AS label, calls,
           failed, cancelled, reported, attempts, input_tokens, cached_input_tokens, cache_write_input_tokens,
           output_tokens, reasoning_output_tokens, cost_nano_usd + coalesce(mended.cost, 0) AS cost_nano_usd,
           charge_nanos + coalesce(mended.charge, 0) AS charge_nanos, coalesce(mended.charge, 0) AS repriced_nanos,
           duration_ms, first_tokens, first_token_ms, speaking_ms, duration_steps, first_token_steps
    FROM usage_line LEFT JOIN (
        SELECT completion_id, sum(cost_nano_usd)::bigint AS cost, sum(charge_nanos)::bigint AS charge
        FROM repricing WHERE tenant_id = $1 GROUP BY completion_id
    ) AS mended USING (completion_id)
    WHERE tenant_id = $1
      AND (create_time >= $2 AND create_time < $9 OR create_time >= $10 AND create_time < $3)
      AND ($14::jsonb = '{}' OR labels @> $14)
    UNION ALL
    SELECT start_time, ''::text, provider, model, operation, ''::text, ''::text, calls,
           failed, cancelled, reported, attempts, input_tokens, cached_input_tokens, cache_write_input_tokens,
           output_tokens, reasoning_output_tokens, cost_nano_usd, charge_nanos, 0::bigint,
           duration_ms, first_tokens, first_token_ms, speaking_ms, duration_steps, first_token_steps
    FROM usage_hour
    WHERE $13::text = 'usage_model_day' AND tenant_id = $1
      AND start_time >= $9 AND start_time < $10 AND NOT (start_time >= $11 AND start_time < $12)
    UNION ALL
    SELECT start_time, ''::text, provider, model, operation, ''::text, ''::text, calls,
           failed, cancelled, reported, attempts, input_tokens, cached_input_tokens, cache_write_input_tokens,
           output_tokens, reasoning_output_tokens, cost_nano_usd, charge_nanos, 0::bigint,
           duration_ms, first_tokens, first_token_ms, speaking_ms, duration_steps, first_token_steps
    FROM usage_model_day
    WHERE $13 = 'usage_model_day' AND tenant_id = $1 AND start_time >= $11 AND start_time < $12
    UNION ALL
    SELECT start_time, user_id, ''::text, ''::text, ''::text, ''::text, ''::text, calls,
           failed, cancelled, reported, attempts, input_tokens, cached_input_tokens, cache_write_input_tokens,
           output_tokens, reasoning_output_tokens, cost_nano_usd, charge_nanos, 0::bigint,
           duration_ms, first_tokens, first_token_ms, speaking_ms, NULL, NULL
    FROM usage_user_day
    WHERE $13 = 'usage_user_day' AND tenant_id = $1 AND start_time >= $11 AND start_time < $12
    UNION ALL
    SELECT start_time, user_id, provider, model, operation, key_id, ''::text, calls,
           failed, cancelled, reported, attempts, input_tokens, cached_input_tokens, cache_write_input_tokens,
           output_tokens, reasoning_output_tokens, cost_nano_usd, charge_nanos, 0::bigint,
           duration_ms, first_tokens, first_token_ms, speaking_ms, NULL, NULL
    FROM usage_day
    WHERE $13 = 'usage_day' AND tenant_id = $1 AND start_time >= $11 AND start_time < $12
    UNION ALL
    SELECT start_time, user_id, provider, model, operation, key_id, ''::text, 0::bigint,
           0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
           0::bigint, 0::bigint, cost_nano_usd, charge_nanos, charge_nanos,
           0::bigint, 0::bigint, 0::bigint, 0::bigint, NULL, NULL
    FROM usage_mended
    WHERE tenant_id = $1 AND start_time >= $9 AND start_time < $10
)
SELECT CASE WHEN 'hour' = ANY ($8::text[]) THEN to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24')
            ELSE coalesce(to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD'), '') END,
       user_id, provider, model, operation, key_id, label,
       calls, failed, cancelled, reported, attempts, input_tokens, cached_input_tokens, cache_write_input_tokens,
       output_tokens, reasoning_output_tokens, cost_nano_usd, charge_nanos, repriced_nanos,
       duration_ms, first_tokens, first_token_ms, speaking_ms,
       coalesce(nullif(duration_steps, 0)::text, ''), coalesce(nullif(first_token_steps, 0)::text, '')
FROM (
    SELECT CASE WHEN 'hour' = ANY ($8) THEN at
                WHEN 'day' = ANY ($8) THEN date_trunc('day', at, 'UTC')
                WHEN 'week' = ANY ($8) THEN date_trunc('week', at, 'UTC')
                WHEN 'month' = ANY ($8) THEN date_trunc('month', at, 'UTC') END AS time,
           CASE WHEN 'user_id' = ANY ($8) THEN user_id ELSE '' END AS user_id,
           CASE WHEN 'provider' = ANY ($8) THEN provider ELSE '' END AS provider,
           CASE WHEN 'model' = ANY ($8) THEN model ELSE '' END AS model,
           CASE WHEN 'operation' = ANY ($8) THEN operation ELSE '' END AS operation,
           CASE WHEN 'key_id' = ANY ($8) THEN key_id ELSE '' END AS key_id,
           CASE WHEN 'label' = ANY ($8) THEN label ELSE '' END AS label,
           sum(calls)::bigint AS calls, sum(failed)::bigint AS failed, sum(cancelled)::bigint AS cancelled,
           sum(reported)::bigint AS reported, sum(attempts)::bigint AS attempts,
           sum(input_tokens)::bigint AS input_tokens, sum(cached_input_tokens)::bigint AS cached_input_tokens,
           sum(cache_write_input_tokens)::bigint AS cache_write_input_tokens,
           sum(output_tokens)::bigint AS output_tokens,
           sum(reasoning_output_tokens)::bigint AS reasoning_output_tokens,
           sum(cost_nano_usd)::bigint AS cost_nano_usd, sum(charge_nanos)::bigint AS charge_nanos,
           sum(repriced_nanos)::bigint AS repriced_nanos, sum(duration_ms)::bigint AS duration_ms,
           sum(first_tokens)::bigint AS first_tokens, sum(first_token_ms)::bigint AS first_token_ms,
           sum(speaking_ms)::bigint AS speaking_ms,
           sum(CASE WHEN $16::boolean THEN duration_steps END) AS duration_steps,
           sum(CASE WHEN $16 THEN first_token_steps END) AS first_token_steps
    FROM line
    WHERE ($4 = '' OR user_id = $4) AND ($5 = '' OR provider = $5) AND ($6 = '' OR model = $6)
      AND ($7 = '' OR operation = $7)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    HAVING sum(calls) > 0
) AS summed
ORDER BY time, user_id, provider, model, operation, key_id, label
LIMIT $17 OFFSET $18
