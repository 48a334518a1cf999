-- What providers offer, as far as they were asked; triggers announce every change on `trunkline_models`.

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('trunkline offers ' || $1, 0))

-- name: of_provider
SELECT provider, model, display_name, context_window, max_output_tokens FROM model
WHERE provider = $1 AND gone_time IS NULL

-- name: all
SELECT provider, model, display_name, context_window, max_output_tokens FROM model WHERE gone_time IS NULL

-- name: put
INSERT INTO model (provider, model, display_name, context_window, max_output_tokens)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::integer[])
ON CONFLICT (provider, model) DO UPDATE SET
    display_name = excluded.display_name,
    context_window = excluded.context_window,
    max_output_tokens = excluded.max_output_tokens,
    gone_time = NULL

-- name: lose
UPDATE model SET gone_time = now() WHERE provider = $1 AND model = ANY ($2::text[])
