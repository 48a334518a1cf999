-- Prompts. $1 is the tenant; $2 and $3 are the id or, where that is null, the name.

-- name: create
INSERT INTO prompt (tenant_id, prompt_id, name, description, default_version, latest_version)
VALUES ($1, $2, $3, $4, 1, 1)
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING prompt_id, name, description, default_version, latest_version, create_time

-- name: add_version
INSERT INTO prompt_version (prompt_id, version, body, created_by) VALUES ($1, $2, $3, $4)
RETURNING version, body, created_by, create_time

-- name: find
SELECT prompt_id, name, description, default_version, latest_version, create_time
FROM prompt
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE prompt_id = $2 END

-- The newest place is taken under the lock of the prompt's row.
-- name: next_version
UPDATE prompt SET
    latest_version = latest_version + 1,
    default_version = CASE WHEN $4 THEN latest_version + 1 ELSE default_version END
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE prompt_id = $2 END
RETURNING prompt_id, latest_version

-- name: page
SELECT prompt_id, name, description, default_version, latest_version, create_time
FROM prompt
WHERE tenant_id = $1 AND ($2::text IS NULL OR name COLLATE "C" > $2)
ORDER BY name COLLATE "C"
LIMIT $3

-- name: delete
DELETE FROM prompt
WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN name = $3 ELSE prompt_id = $2 END
RETURNING prompt_id

-- name: version
SELECT version, body, created_by, create_time FROM prompt_version WHERE prompt_id = $1 AND version = $2

-- name: versions
SELECT version, body, created_by, create_time
FROM prompt_version
WHERE prompt_id = $1 AND ($2::integer IS NULL OR version < $2)
ORDER BY version DESC
LIMIT $3

-- name: set_default
UPDATE prompt SET default_version = $2 WHERE prompt_id = $1
RETURNING prompt_id, name, description, default_version, latest_version, create_time
