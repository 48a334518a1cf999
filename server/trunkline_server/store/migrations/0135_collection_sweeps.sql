-- When a collection was last looked through for vectors whose document is gone.

ALTER TABLE collection ADD COLUMN sweep_time timestamptz NOT NULL DEFAULT now();

CREATE INDEX collection_sweep ON collection (sweep_time);
