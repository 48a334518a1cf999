Sums over the rows of usage.

-- name: patience
SET LOCAL statement_timeout = '20s'

-- name: sums
SELECT CASE WHEN 'day' = ANY ($8::text[]) THEN to_char(create_time AT TIME ZONE 'UTC', 'YYYY-MM-DD') ELSE '' END,
       CASE WHEN 'user_id' = ANY ($8) THEN user_id ELSE '' END,
       CASE WHEN 'provider' = ANY ($8) THEN provider ELSE '' END,
       CASE WHEN 'model' = ANY ($8) THEN model ELSE '' END,
       CASE WHEN 'operation' = ANY ($8) THEN operation ELSE '' END,
       CASE WHEN 'key_id' = ANY ($8) THEN key_id ELSE '' END,
       count(*), count(*) FILTER (WHERE outcome = 'OUTCOME_FAILED'), count(*) FILTER (WHERE basis = 'provider_usage'),
       sum(input_tokens)::bigint, sum(cached_input_tokens)::bigint, sum(cache_write_input_tokens)::bigint,
       sum(output_tokens)::bigint, sum(reasoning_output_tokens)::bigint,
       sum(cost_nano_usd + coalesce(mended.cost, 0))::bigint, sum(charge_nanos + coalesce(mended.charge, 0))::bigint,
       coalesce(sum(mended.charge), 0)::bigint
FROM usage LEFT JOIN (
    SELECT completion_id, sum(cost_nano_usd) AS cost, sum(charge_nanos) AS charge
    FROM repricing WHERE tenant_id = $1 GROUP BY completion_id
) AS mended USING (completion_id)
WHERE tenant_id = $1 AND create_time >= $2 AND create_time < $3
  AND ($4 = '' OR user_id = $4) AND ($5 = '' OR provider = $5) AND ($6 = '' OR model = $6)
  AND ($7 = '' OR operation = $7)
GROUP BY 1, 2, 3, 4, 5, 6
HAVING count(*) > 0
ORDER BY 1, 2, 3, 4, 5, 6
LIMIT $9 OFFSET $10
