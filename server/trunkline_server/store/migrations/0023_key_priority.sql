-- How urgent the calls of a key are at most: 1 sheddable, 2 batch, 3 interactive, 4 critical.

ALTER TABLE api_key ADD COLUMN priority smallint NOT NULL DEFAULT 3 CHECK (priority BETWEEN 1 AND 4);
