-- How a store has laid a collection's vectors out: those from before keep what they have.

ALTER TABLE collection ADD COLUMN layout smallint NOT NULL DEFAULT 1;
