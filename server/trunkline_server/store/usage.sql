Reads of the usage rows; `usage_record` in the migrations writes them.

-- name: find
SELECT * FROM usage WHERE completion_id = $2 AND tenant_id = $1 ORDER BY create_time DESC LIMIT 1
