-- What waits to be done, for all tenants together; no more is counted than `$1` of each.

-- name: count
SELECT (SELECT count(*) FROM (SELECT FROM job WHERE state = 'queued' LIMIT $1) AS queued),
       (SELECT count(*) FROM (SELECT FROM job WHERE state = 'delayed' LIMIT $1) AS delayed),
       (SELECT count(*) FROM (SELECT FROM job WHERE state = 'running' LIMIT $1) AS running),
       (SELECT count(*) FROM (SELECT FROM webhook_delivery WHERE state = 'waiting' LIMIT $1) AS waiting)
