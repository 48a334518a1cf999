How long calls took: half, 95 and 99 of a hundred. Days that were summed in advance are taken from there.

-- Of $1 tenant from $2 to $3, of which whole days from $9 to $10 were summed in advance.
-- name: pace
WITH line AS (
    SELECT date_trunc(CASE WHEN 'hour' = ANY ($8::text[]) THEN 'hour' ELSE 'day' END, create_time, 'UTC') AS at, user_id, provider, model, operation, key_id, coalesce(labels ->> $12, '') AS label,
           measure, step, calls
    FROM usage_timing
    WHERE tenant_id = $1
      AND (create_time >= $2 AND create_time < $9 OR create_time >= $10 AND create_time < $3)
      AND ($11::jsonb = '{}' OR labels @> $11)
    UNION ALL
    SELECT start_time, ''::text, provider, model, operation, ''::text, ''::text, measure, step, calls
    FROM usage_pace
    WHERE tenant_id = $1 AND start_time >= $9 AND start_time < $10
), stepped AS (
    SELECT CASE WHEN 'hour' = ANY ($8) OR 'day' = ANY ($8) THEN at END AS time,
           CASE WHEN 'user_id' = ANY ($8) THEN user_id ELSE '' END AS user_id,
           CASE WHEN 'provider' = ANY ($8) THEN provider ELSE '' END AS provider,
           CASE WHEN 'model' = ANY ($8) THEN model ELSE '' END AS model,
           CASE WHEN 'operation' = ANY ($8) THEN operation ELSE '' END AS operation,
           CASE WHEN 'key_id' = ANY ($8) THEN key_id ELSE '' END AS key_id,
           CASE WHEN 'label' = ANY ($8) THEN label ELSE '' END AS label,
           measure, step, sum(calls) AS calls
    FROM line
    WHERE ($4 = '' OR user_id = $4) AND ($5 = '' OR provider = $5) AND ($6 = '' OR model = $6)
      AND ($7 = '' OR operation = $7)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
), ranked AS (
    SELECT *, sum(calls) OVER (w ORDER BY step) AS upto, sum(calls) OVER w AS whole
    FROM stepped
    WINDOW w AS (PARTITION BY time, user_id, provider, model, operation, key_id, label, measure)
)
SELECT CASE WHEN 'hour' = ANY ($8) THEN to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24')
            ELSE coalesce(to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD'), '') END,
       user_id, provider, model, operation, key_id, label, measure,
       usage_step_ms(min(step) FILTER (WHERE upto >= whole * 0.50)),
       usage_step_ms(min(step) FILTER (WHERE upto >= whole * 0.95)),
       usage_step_ms(min(step) FILTER (WHERE upto >= whole * 0.99))
FROM ranked
GROUP BY time, user_id, provider, model, operation, key_id, label, measure
