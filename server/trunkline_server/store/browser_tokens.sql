-- What browser tokens spend; the decision is a function of the migration.

-- name: reserve
SELECT browser_token_reserve($1, $2, $3, $4, $5, $6, $7)

-- name: release
DELETE FROM browser_token_hold WHERE completion_id = $1

-- name: purge
DELETE FROM browser_token WHERE token_id IN (
    SELECT token_id FROM browser_token WHERE expire_time < statement_timestamp() - interval '1 hour'
    LIMIT 500 FOR UPDATE SKIP LOCKED)
