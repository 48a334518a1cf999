-- Further names of models; triggers announce every change on `trunkline_models`.

-- name: all
SELECT alias, models FROM model_alias ORDER BY alias COLLATE "C"

-- name: set
INSERT INTO model_alias (alias, models, set_by) VALUES ($1, $2, $3)
ON CONFLICT (alias) DO UPDATE SET models = excluded.models, set_by = excluded.set_by, set_time = now()

-- name: delete
DELETE FROM model_alias WHERE alias = $1 RETURNING alias
