-- Files. $1 is the tenant or, behind the first look, the file.

-- name: begin
INSERT INTO file (tenant_id, principal, request_id, file_id, spec, expire_time)
VALUES ($1, $2, $3, $4, $5, now() + $6::interval)
ON CONFLICT (tenant_id, principal, request_id) WHERE request_id IS NOT NULL AND NOT is_gone DO NOTHING
RETURNING file_id, spec, received_bytes, sha256, create_time, expire_time

-- The name of an upload whose file is over its time, and not swept away yet, is free again.
-- name: let_go
UPDATE file SET is_gone = true, touch_time = now()
WHERE tenant_id = $1 AND principal = $2 AND request_id = $3 AND NOT is_gone AND expire_time <= now()

-- name: begun
SELECT file_id, spec, received_bytes, sha256, create_time, expire_time
FROM file
WHERE tenant_id = $1 AND principal = $2 AND request_id = $3
  AND NOT is_gone AND (expire_time IS NULL OR expire_time > now())

-- name: find
SELECT file_id, spec, received_bytes, sha256, create_time, expire_time
FROM file
WHERE tenant_id = $1 AND file_id = $2 AND NOT is_gone AND (expire_time IS NULL OR expire_time > now())

-- name: page
SELECT file_id, spec, received_bytes, sha256, create_time, expire_time
FROM file
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR file_id < $2)
  AND NOT is_gone AND (expire_time IS NULL OR expire_time > now())
ORDER BY file_id DESC
LIMIT $3

-- name: delete
UPDATE file SET is_gone = true, touch_time = now()
WHERE tenant_id = $1 AND file_id = $2 AND NOT is_gone AND (expire_time IS NULL OR expire_time > now())
RETURNING file_id

-- name: intend
INSERT INTO file_piece (piece_id, file_id, size_bytes)
SELECT $2, file_id, $3 FROM file WHERE file_id = $1 AND sha256 IS NULL AND NOT is_gone FOR SHARE

-- The file's row is locked first, so that of two pieces for one place the second finds it taken.
-- name: place
WITH open AS (
    SELECT file_id FROM file
    WHERE file_id = $1 AND received_bytes = $3 AND sha256 IS NULL AND NOT is_gone
    FOR UPDATE
), placed AS (
    UPDATE file_piece SET begin_bytes = $3 FROM open WHERE piece_id = $2 RETURNING size_bytes
)
UPDATE file SET received_bytes = received_bytes + size_bytes, touch_time = now()
FROM placed WHERE file_id = $1
RETURNING received_bytes

-- name: finish
UPDATE file SET sha256 = $3, touch_time = now()
WHERE file_id = $1 AND received_bytes = $2 AND NOT is_gone AND (sha256 IS NULL OR sha256 = $3)
RETURNING file_id, spec, received_bytes, sha256, create_time, expire_time

-- name: discard
UPDATE file SET is_gone = true, touch_time = now() WHERE file_id = $1 AND sha256 IS NULL

-- name: pieces
SELECT piece_id, begin_bytes, size_bytes
FROM file_piece
WHERE file_id = $1 AND begin_bytes + size_bytes > $2
ORDER BY begin_bytes

-- name: copies
SELECT file_id, provider, account_id, purpose, provider_file_id, create_time
FROM file_copy
WHERE file_id = $1
ORDER BY provider, purpose, account_id

-- name: note_copy
INSERT INTO file_copy AS copy (file_id, provider, account_id, purpose, provider_file_id) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (file_id, provider, account_id, purpose) DO UPDATE SET provider_file_id = copy.provider_file_id
RETURNING file_id, provider, account_id, purpose, provider_file_id, create_time

-- name: expire
UPDATE file SET is_gone = true, touch_time = now()
WHERE NOT is_gone AND (expire_time <= now() OR (sha256 IS NULL AND touch_time < now() - $1::interval))

-- name: gone_pieces
SELECT piece_id FROM file JOIN file_piece USING (file_id)
WHERE is_gone AND touch_time <= now() - $1::interval
LIMIT $2

-- name: forget_piece
DELETE FROM file_piece WHERE piece_id = $1

-- In any order, so that those that cannot be deleted do not keep others waiting.
-- name: gone_copies
SELECT file_id, provider, account_id, purpose, provider_file_id, file_copy.create_time
FROM file JOIN file_copy USING (file_id)
WHERE is_gone
ORDER BY random()
LIMIT $1

-- name: forget_copy
DELETE FROM file_copy WHERE file_id = $1 AND provider = $2 AND account_id = $3 AND purpose = $4

-- name: forget_files
DELETE FROM file
WHERE is_gone AND touch_time <= now() - $1::interval
  AND NOT EXISTS (SELECT FROM file_piece WHERE file_piece.file_id = file.file_id)
  AND NOT EXISTS (SELECT FROM file_copy WHERE file_copy.file_id = file.file_id)
