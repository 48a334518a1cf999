-- Prices that were set, and those that providers told; a row is never changed. Triggers announce every new one on
-- `trunkline_models`.

-- name: all
SELECT provider, model, version, effective_time, tiers, source FROM price ORDER BY price_id

-- name: add
INSERT INTO price (provider, model, version, effective_time, tiers, source, set_by) VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: learned
SELECT provider, model, version, effective_time, tiers, 'provider' AS source FROM learned_price
ORDER BY effective_time, price_id

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('trunkline learned prices ' || $1, 0))

-- name: latest
SELECT DISTINCT ON (model) model, tiers FROM learned_price WHERE provider = $1 ORDER BY model, price_id DESC

-- name: learn
INSERT INTO learned_price (provider, model, version, effective_time, tiers)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[])
