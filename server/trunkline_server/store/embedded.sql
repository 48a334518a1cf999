-- What a new embedded cluster gets before its first start: a role without special rights, which owns its database.

-- name: extension
CREATE EXTENSION vector

-- name: role
CREATE ROLE trunkline LOGIN

-- name: database
CREATE DATABASE trunkline OWNER trunkline

-- Who is confined to the rows of one tenant; the migrations say to which. A cluster of an older version gets it as well.
-- name: confined
SELECT to_regrole('trunkline_tenant') IS NOT NULL

-- name: confine
DO $$ BEGIN
    CREATE ROLE trunkline_tenant NOLOGIN;
    GRANT trunkline_tenant TO trunkline;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
