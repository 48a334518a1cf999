-- Sums by the day in two more ways, each a fraction of the rows that a question over months has to read otherwise. The day
-- under way is among them up to the last hour that is over. How long calls took is summed with the rest (`usage_steps`).
-- What was summed before is made anew.

DELETE FROM rollup;
TRUNCATE usage_hour, usage_day, usage_pace;

ALTER TABLE usage_hour ADD COLUMN duration_steps numeric NOT NULL, ADD COLUMN first_token_steps numeric NOT NULL;

-- Like `usage_hour`.
CREATE TABLE usage_model_day (
    LIKE usage_hour,
    PRIMARY KEY (tenant_id, start_time, operation, provider, model)
) PARTITION BY RANGE (start_time);

-- Like `usage_day`, of each user alone.
CREATE TABLE usage_user_day (LIKE usage_day) PARTITION BY RANGE (start_time);
ALTER TABLE usage_user_day DROP COLUMN operation, DROP COLUMN provider, DROP COLUMN model, DROP COLUMN key_id,
    ADD PRIMARY KEY (tenant_id, user_id, start_time);

SELECT confine('usage_model_day'), confine('usage_user_day');
GRANT SELECT ON usage_model_day, usage_user_day TO trunkline_tenant;

CREATE OR REPLACE FUNCTION rollup_month(at timestamptz) RETURNS void LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    first_day timestamptz := date_trunc('month', at);
    of_month text := to_char(first_day, 'YYYY_MM');
    whole text;
BEGIN
    IF to_regclass('usage_user_day_' || of_month) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(7310580);
    FOREACH whole IN ARRAY ARRAY['usage_hour', 'usage_day', 'usage_pace', 'custom_event', 'usage_model_day',
                                 'usage_user_day'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                       whole || '_' || of_month, whole, first_day, first_day + interval '1 month');
    END LOOP;
END $$;

-- Adds lines of a time to a table of sums. Its numbers are what is summed, the other columns what is kept apart.
CREATE FUNCTION rollup_add(
    sums regclass, unit text, lines regclass, at name, since timestamptz, till timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    apart text;
    numbers text;
    added text;
    merged text;
BEGIN
    SELECT string_agg(attname, ', ') FILTER (WHERE NOT is_number),
           string_agg(attname, ', ') FILTER (WHERE is_number),
           string_agg(format('sum(%s)', attname), ', ') FILTER (WHERE is_number),
           string_agg(format('had.%1$s + excluded.%1$s', attname), ', ') FILTER (WHERE is_number)
    INTO apart, numbers, added, merged
    FROM (SELECT attname, atttypid IN ('bigint'::regtype, 'numeric'::regtype) AS is_number
          FROM pg_attribute
          WHERE attrelid = sums AND attnum > 0 AND NOT attisdropped AND attname <> 'start_time'
          ORDER BY attnum) AS its;
    EXECUTE format(
        'INSERT INTO %1$s AS had (start_time, %2$s, %3$s) '
        'SELECT date_trunc(%4$L, %5$s), %2$s, %6$s FROM %7$s WHERE %5$s >= %8$L AND %5$s < %9$L GROUP BY 1, %2$s '
        'ON CONFLICT (start_time, %2$s) DO UPDATE SET (%3$s) = ROW (%10$s)',
        sums, apart, numbers, unit, at, added, lines, since, till, merged);
END $$;

-- Sums the hours since the last time, up to the end of their day, or to a moment that is quiet. True: there is more.
CREATE OR REPLACE FUNCTION rollup_step(quiet timestamptz, keep interval) RETURNS boolean LANGUAGE plpgsql
SET timezone = 'UTC' SET work_mem = '32MB' AS $$
DECLARE
    r rollup;
    today timestamptz;
    till timestamptz;
BEGIN
    INSERT INTO rollup (floor, until)
    SELECT first_day, first_day
    FROM (SELECT greatest(date_trunc('month', quiet - keep), date_trunc('day', coalesce(min(create_time), quiet)))
              AS first_day
          FROM usage WHERE NOT EXISTS (SELECT FROM rollup)) AS found
    WHERE NOT EXISTS (SELECT FROM rollup)
    ON CONFLICT DO NOTHING;
    SELECT * INTO r FROM rollup FOR UPDATE;
    today := date_trunc('day', r.until);
    till := least(today + interval '1 day', date_trunc('hour', quiet));
    IF till <= r.until THEN
        RETURN false;
    END IF;
    PERFORM rollup_month(today);
    PERFORM rollup_add('usage_hour', 'hour', 'usage_line', 'create_time', r.until, till);
    PERFORM rollup_add('usage_model_day', 'day', 'usage_hour', 'start_time', r.until, till);
    PERFORM rollup_add('usage_user_day', 'day', 'usage_line', 'create_time', r.until, till);
    PERFORM rollup_add('usage_day', 'day', 'usage_line', 'create_time', r.until, till);
    IF till = today + interval '1 day' THEN
        PERFORM rollup_day(today);
    END IF;
    UPDATE rollup SET until = till;
    RETURN till < date_trunc('hour', quiet);
END $$;

-- What replicas of the version before read of a day that is over.
CREATE OR REPLACE FUNCTION rollup_day(first_hour timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage_pace
    SELECT tenant_id, first_hour, operation, provider, model, measure, step, sum(calls)
    FROM usage_timing WHERE create_time >= first_hour AND create_time < first_hour + interval '1 day'
    GROUP BY 1, 3, 4, 5, 6, 7;
END $$;

CREATE OR REPLACE FUNCTION rollup_again(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r rollup;
    first_hour timestamptz;
BEGIN
    SELECT * INTO r FROM rollup FOR UPDATE;
    first_hour := greatest(r.floor, date_trunc('day', at, 'UTC'));
    DELETE FROM usage_hour WHERE start_time >= first_hour;
    DELETE FROM usage_model_day WHERE start_time >= first_hour;
    DELETE FROM usage_user_day WHERE start_time >= first_hour;
    DELETE FROM usage_day WHERE start_time >= first_hour;
    DELETE FROM usage_pace WHERE start_time >= first_hour;
    UPDATE rollup SET until = least(until, first_hour);
END $$;

-- Drops the months that are wholly older, of usage, of its sums and of events; last, because calls wait for it. Those that
-- the next time will drop are left out of sums from now on.
CREATE OR REPLACE FUNCTION rollup_retain(keep interval) RETURNS void LANGUAGE plpgsql
SET timezone = 'UTC' SET lock_timeout = '200ms' AS $$
DECLARE
    oldest timestamptz := date_trunc('month', clock_timestamp() - keep);
    floor_ timestamptz := (SELECT floor FROM rollup);
    part record;
BEGIN
    PERFORM usage_months(clock_timestamp() + interval '2 months');
    PERFORM rollup_month(clock_timestamp()), rollup_month(clock_timestamp() + interval '1 month');
    DELETE FROM usage_mended WHERE start_time < floor_;
    UPDATE rollup SET floor = oldest WHERE floor < oldest AND until >= oldest;
    FOR part IN
        SELECT inhrelid::regclass AS name, inhparent::regclass AS whole,
               to_timestamp(right(inhrelid::regclass::text, 7), 'YYYY_MM') AS first_day
        FROM pg_inherits
        WHERE inhparent IN ('usage'::regclass, 'usage_hour'::regclass, 'usage_model_day'::regclass,
                            'usage_user_day'::regclass, 'usage_day'::regclass, 'usage_pace'::regclass,
                            'custom_event'::regclass)
          AND inhrelid <> 'usage_rest'::regclass
    LOOP
        IF part.first_day < (CASE part.whole WHEN 'custom_event'::regclass THEN oldest
                             ELSE date_trunc('month', floor_) END) THEN
            EXECUTE format('DROP TABLE %s', part.name);
        END IF;
    END LOOP;
END $$;
