-- Which migration files a database has had.

-- name: lock
SELECT pg_advisory_lock($1)

-- name: create
CREATE TABLE IF NOT EXISTS schema_migration (
    name text PRIMARY KEY,
    sha256 bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: exists
SELECT to_regclass('schema_migration') IS NOT NULL

-- name: applied
SELECT name, sha256 FROM schema_migration

-- name: record
INSERT INTO schema_migration (name, sha256) VALUES ($1, $2)
