-- Pieces of files as large objects.

-- name: put
INSERT INTO piece_content (piece_id, content) VALUES ($1, lo_from_bytea(0, $2))

-- name: get
SELECT lo_get(content) FROM piece_content WHERE piece_id = $1

-- name: delete
WITH gone AS (
    DELETE FROM piece_content WHERE piece_id = $1 RETURNING content
)
SELECT lo_unlink(content) FROM gone
