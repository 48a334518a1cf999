-- What a new embedded cluster gets before its first start: a role without special rights, which owns its database.

-- name: extension
CREATE EXTENSION vector

-- name: role
CREATE ROLE trunkline LOGIN

-- name: database
CREATE DATABASE trunkline OWNER trunkline
