Calls of the past and the differences that were posted to them; `ledger_reprice` in the migrations posts one.

-- name: first
SELECT min(create_time) FROM usage WHERE create_time >= $1 AND create_time < $2

-- Ordered and paged by (create_time, completion_id). What cost nothing because nothing was used stays so.
-- name: calls
SELECT completion_id, u.tenant_id, provider, model, u.create_time, duration_ms,
       input_tokens, cached_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, unit_counts,
       coalesce(last.price_version, u.price_version) AS price_version,
       u.cost_nano_usd + coalesce(mended.cost, 0)::bigint AS cost_nano_usd,
       charge_nanos + coalesce(mended.charge, 0)::bigint AS charge_nanos
FROM usage AS u
LEFT JOIN LATERAL (SELECT sum(cost_nano_usd) AS cost, sum(charge_nanos) AS charge
                   FROM repricing WHERE completion_id = u.completion_id) AS mended ON true
LEFT JOIN LATERAL (SELECT price_version FROM repricing WHERE completion_id = u.completion_id
                   ORDER BY create_time DESC LIMIT 1) AS last ON true
WHERE u.create_time >= $1 AND u.create_time < $2 AND (u.create_time, completion_id) > ($3, $4)
  AND basis <> 'none' AND usage_source <> 'USAGE_SOURCE_CACHE'
ORDER BY u.create_time, completion_id
LIMIT $5

-- name: reprice
SELECT ledger_reprice($1, $2, $3, $4, $5, $6, $7)
