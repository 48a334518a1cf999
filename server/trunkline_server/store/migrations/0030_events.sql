-- Events: what happened, written in the transaction of the change, so that an event is there if and only if the change is.

CREATE TABLE event (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id    uuid NOT NULL DEFAULT gen_random_uuid(),
    tenant_id   uuid NOT NULL,
    type        text NOT NULL,
    body        json NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Null until the event was given its place. Numbers are handed out before commits, so they can appear out of order;
    -- positions are handed out after commits, one reader at a time, so nothing ever appears behind a cursor.
    position    bigint UNIQUE
);

CREATE INDEX event_without_position ON event (number) WHERE position IS NULL;
CREATE INDEX event_by_tenant ON event (tenant_id, position) WHERE position IS NOT NULL;

-- One row: the last position that was given out, and the last one that was deleted for its age.
CREATE TABLE event_head (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    position bigint NOT NULL DEFAULT 0,
    forgot   bigint NOT NULL DEFAULT 0
);
INSERT INTO event_head DEFAULT VALUES;

-- How far each reader with a name has come; one process at a time reads for it.
CREATE TABLE event_checkpoint (
    name         text PRIMARY KEY,
    position     bigint NOT NULL,
    owner        uuid,
    leased_until timestamptz NOT NULL DEFAULT '-infinity'
);

-- Gives committed events their positions, and says what the last one is. The row lock makes it one at a time, and each
-- statement here sees what was committed before it began.
CREATE FUNCTION event_sequence() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    head bigint;
    given bigint;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM event WHERE position IS NULL) THEN
        RETURN (SELECT position FROM event_head);
    END IF;
    SELECT position INTO head FROM event_head FOR UPDATE;
    WITH fresh AS (
        SELECT number, row_number() OVER (ORDER BY number) AS nth
        FROM (SELECT number FROM event WHERE position IS NULL ORDER BY number LIMIT 5000) AS first
    ), placed AS (
        UPDATE event SET position = head + nth FROM fresh WHERE event.number = fresh.number RETURNING 1
    )
    SELECT count(*) INTO given FROM placed;
    UPDATE event_head SET position = head + given;
    RETURN head + given;
END $$;
