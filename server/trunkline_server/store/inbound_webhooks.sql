Webhooks that providers have sent.

-- name: take
SELECT inbound_webhook_take($1, $2, $3, $4)

-- name: purge
DELETE FROM inbound_webhook WHERE create_time < statement_timestamp() - $1::interval
