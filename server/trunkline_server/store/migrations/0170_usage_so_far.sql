-- `usage` becomes a table cut into months, of which what is there so far will be the first. That wants to know that its
-- rows are all of this month or the next or older. It takes three steps, each a transaction of its own, so that no call
-- waits until all rows are looked at; old replicas write and read meanwhile.

SET LOCAL timezone = 'UTC';

-- Takes the table in a moment when nobody is reading it for long: calls that write to it would wait behind us. The views
-- come first, as they do for readers.
CREATE FUNCTION usage_take() RETURNS void LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
BEGIN
    FOR more_turns IN REVERSE 300..0 LOOP
        BEGIN
            LOCK TABLE usage_line, usage_timing, usage;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF more_turns = 0 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.2);
        END;
    END LOOP;
END $$;

SELECT usage_take();

DO $$ BEGIN
    EXECUTE format('ALTER TABLE usage ADD CONSTRAINT usage_so_far CHECK (create_time < %L) NOT VALID',
                   date_trunc('month', now()) + interval '2 months');
END $$;
