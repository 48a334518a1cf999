-- Nonces of signed requests: whoever puts one here first has it.

-- name: spend
INSERT INTO request_nonce (key_id, nonce, expire_time)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[]) ORDER BY 1, 2
ON CONFLICT DO NOTHING
RETURNING key_id, nonce

-- name: purge
DELETE FROM request_nonce WHERE (key_id, nonce) IN (
    SELECT key_id, nonce FROM request_nonce WHERE expire_time < statement_timestamp()
    LIMIT 20000 FOR UPDATE SKIP LOCKED)
