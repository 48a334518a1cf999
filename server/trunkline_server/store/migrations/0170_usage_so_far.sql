-- `usage` becomes a table cut into months, of which what is there so far will be the first. That wants to know that its
-- rows are all of this month or the next or older. It takes three steps, each a transaction of its own, so that no call
-- waits until all rows are looked at; old replicas write and read meanwhile.

SET LOCAL timezone = 'UTC';

DO $$ BEGIN
    EXECUTE format('ALTER TABLE usage ADD CONSTRAINT usage_so_far CHECK (create_time < %L) NOT VALID',
                   date_trunc('month', now()) + interval '2 months');
END $$;
