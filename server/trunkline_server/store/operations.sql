Operations, written only by the worker that has the lease of the job.

-- name: find
SELECT operation FROM operation WHERE job_id = $1

-- name: intend
INSERT INTO operation (job_id)
SELECT id FROM job WHERE id = $1 AND lease_token = $2 AND state = 'running'
FOR UPDATE
ON CONFLICT DO NOTHING

-- name: keep
UPDATE operation SET operation = $3
WHERE job_id = $1 AND EXISTS (SELECT 1 FROM job WHERE id = $1 AND lease_token = $2 AND state = 'running')

-- name: forget
DELETE FROM operation
WHERE job_id = $1
  AND EXISTS (SELECT 1 FROM job WHERE id = $1 AND lease_token = $2 AND state = 'running')
