-- Prices that were set; a row is never changed. Triggers announce every new one on `trunkline_models`.

-- name: all
SELECT provider, model, version, effective_time, tiers, source FROM price ORDER BY price_id

-- name: add
INSERT INTO price (provider, model, version, effective_time, tiers, source, set_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
