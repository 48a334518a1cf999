-- Tools execute actions too. A version before this one takes such a handler for code that is not installed.

ALTER TABLE action_handler ADD COLUMN tool text NOT NULL DEFAULT '';
ALTER TABLE action_handler DROP CONSTRAINT action_handler_check;
ALTER TABLE action_handler ADD CONSTRAINT action_handler_one_target CHECK (num_nulls(
    nullif(uri, ''), nullif(entry_point, ''), nullif(tool, '')
) = 2);
