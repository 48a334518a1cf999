-- Models that were trained for tenants, and the names that they have given them.

-- name: trained
SELECT tenant_id, provider, base_model, provider_model FROM fine_tune WHERE provider_model <> ''
UNION
SELECT f.tenant_id, f.provider, f.base_model, c.provider_model
FROM fine_tune_checkpoint AS c JOIN fine_tune AS f USING (fine_tune_id)
WHERE c.provider_model <> ''

-- name: names
SELECT tenant_id, name, provider, provider_model FROM deployed_model

-- name: deploy
INSERT INTO deployed_model (tenant_id, name, fine_tune_id, provider, provider_model, base_model, checkpoint_step)
SELECT $1, $2, $3, $4, $5, $6, $7
WHERE (SELECT count(*) FROM deployed_model WHERE tenant_id = $1 AND name <> $2) < $8
ON CONFLICT (tenant_id, name) DO UPDATE SET fine_tune_id = excluded.fine_tune_id, provider = excluded.provider,
    provider_model = excluded.provider_model, base_model = excluded.base_model,
    checkpoint_step = excluded.checkpoint_step, create_time = now()
RETURNING name, fine_tune_id, provider, provider_model, base_model, checkpoint_step, create_time

-- name: page
SELECT name, fine_tune_id, provider, provider_model, base_model, checkpoint_step, create_time
FROM deployed_model
WHERE tenant_id = $1 AND ($2::text IS NULL OR name COLLATE "C" > $2)
ORDER BY name COLLATE "C"
LIMIT $3

-- name: undeploy
DELETE FROM deployed_model WHERE tenant_id = $1 AND name = $2 RETURNING name
