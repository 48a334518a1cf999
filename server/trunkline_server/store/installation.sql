-- The one row of the installation.

-- name: find
SELECT secret FROM installation

-- name: make
INSERT INTO installation (secret) VALUES ($1) ON CONFLICT DO NOTHING
