-- Webhooks: events on their way to addresses of tenants. A delivery is one event for one endpoint, with its body as it is
-- sent; whoever sends it holds a lease, whose token grows with every claim.
--
--   waiting (claimed, sent, again at its next time) ──> delivered | failed

CREATE TABLE webhook_endpoint (
    number          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint_id     uuid NOT NULL UNIQUE,
    tenant_id       uuid NOT NULL REFERENCES tenant,
    uri             text NOT NULL,
    description     text NOT NULL,
    types           text[] NOT NULL,          -- empty: all
    for_callbacks   boolean NOT NULL,         -- signs what goes to the callback address of a job
    enabled         boolean NOT NULL DEFAULT true,
    disabled_reason text NOT NULL DEFAULT '',
    key_version     integer NOT NULL,
    secret          bytea NOT NULL,           -- sealed
    secret_time     timestamptz NOT NULL DEFAULT clock_timestamp(),
    old_key_version integer,
    old_secret      bytea,
    old_until       timestamptz,
    failing_since   timestamptz,              -- nothing has succeeded since then
    slow_until      timestamptz,              -- it has asked for a pause
    active_since    timestamptz NOT NULL DEFAULT clock_timestamp(),  -- it gets what happens from then on
    create_time     timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (tenant_id, key_version) REFERENCES tenant_key (tenant_id, version),
    FOREIGN KEY (tenant_id, old_key_version) REFERENCES tenant_key (tenant_id, version)
);

CREATE INDEX webhook_endpoint_by_tenant ON webhook_endpoint (tenant_id, number);
CREATE UNIQUE INDEX webhook_endpoint_for_callbacks ON webhook_endpoint (tenant_id) WHERE for_callbacks;

CREATE TABLE webhook_delivery (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id  uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    tenant_id    uuid NOT NULL,
    endpoint_id  uuid NOT NULL REFERENCES webhook_endpoint (endpoint_id) ON DELETE CASCADE,
    event_id     uuid NOT NULL,
    type         text NOT NULL,
    body         text NOT NULL,
    callback_uri text NOT NULL DEFAULT '',    -- empty: the endpoint's own
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempt      integer NOT NULL DEFAULT 0,  -- how often it was sent
    next_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_token  bigint NOT NULL DEFAULT 0,
    leased_until timestamptz,
    http_status  integer NOT NULL DEFAULT 0,
    error        text NOT NULL DEFAULT '',
    took_ms      integer NOT NULL DEFAULT 0,
    create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    end_time     timestamptz,
    UNIQUE (endpoint_id, event_id)
);

CREATE INDEX webhook_delivery_due ON webhook_delivery (next_time) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (endpoint_id, next_time) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_by_tenant ON webhook_delivery (tenant_id, number);
CREATE INDEX webhook_delivery_by_endpoint ON webhook_delivery (endpoint_id, number);
CREATE INDEX webhook_delivery_ended ON webhook_delivery (end_time) WHERE end_time IS NOT NULL;

-- Where jobs want their changes told.
CREATE TABLE job_callback (
    job_id        uuid PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    uri           text NOT NULL,
    with_progress boolean NOT NULL
);

INSERT INTO event_checkpoint (name, position) VALUES ('webhooks', 0);

-- Progress is an event only for jobs that were made so.
CREATE FUNCTION job_progressed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (tenant_id, type, body)
    SELECT NEW.tenant_id, 'JobProgressed', json_build_object(
        'jobId', 'job_' || replace(NEW.id::text, '-', ''), 'fraction', NEW.progress, 'message', NEW.progress_message,
        'revision', NEW.revision::text)
    FROM job_callback WHERE job_id = NEW.id AND with_progress;
    RETURN NULL;
END $$;

CREATE TRIGGER job_progressed AFTER UPDATE OF progress ON job FOR EACH ROW
WHEN (NEW.state = 'running' AND (NEW.progress, NEW.progress_message) IS DISTINCT FROM (OLD.progress, OLD.progress_message))
EXECUTE FUNCTION job_progressed();

-- An event as it is sent: `Event` of the contract as JSON.
CREATE FUNCTION webhook_body(e event) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'eventId', 'evt_' || replace(e.event_id::text, '-', ''), 'cursor', e.position::text,
        'createTime', to_char(e.create_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'type', e.type,
        lower(left(e.type, 1)) || substr(e.type, 2), e.body)::text
$$;

-- Makes deliveries of the events behind the last ones. It moves on in the same transaction, so that none is left out and
-- none is made twice; one process at a time does it.
CREATE FUNCTION webhook_fan_out(head bigint, most integer, OUT made integer, OUT is_more boolean) LANGUAGE plpgsql AS $$
DECLARE
    place bigint;
    last bigint;
    called integer;
BEGIN
    made := 0;
    is_more := false;
    SELECT position INTO place FROM event_checkpoint WHERE name = 'webhooks' FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR place >= head THEN
        RETURN;
    ELSIF NOT EXISTS (SELECT 1 FROM webhook_endpoint WHERE enabled) THEN
        UPDATE event_checkpoint SET position = head WHERE name = 'webhooks' AND head - place > most;
        RETURN;
    END IF;
    last := least(head, place + most);
    INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, type, body)
    SELECT p.tenant_id, p.endpoint_id, e.event_id, e.type, webhook_body(e)
    FROM event AS e JOIN webhook_endpoint AS p
      ON p.enabled AND NOT p.for_callbacks AND e.create_time >= p.active_since
     AND (p.types = '{}' OR e.type = ANY (p.types))
     AND e.tenant_id IN (p.tenant_id, '00000000-0000-0000-0000-000000000000')
    WHERE e.position > place AND e.position <= last
    ORDER BY e.position, p.number
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, type, body, callback_uri)
    SELECT p.tenant_id, p.endpoint_id, e.event_id, e.type, webhook_body(e), c.uri
    FROM event AS e
    JOIN job_callback AS c
      ON c.job_id = CASE WHEN e.type IN ('JobStateChanged', 'JobProgressed') THEN substr(e.body ->> 'jobId', 5)::uuid END
    JOIN webhook_endpoint AS p ON p.tenant_id = e.tenant_id AND p.for_callbacks AND p.enabled
    WHERE e.position > place AND e.position <= last
    ORDER BY e.position
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS called = ROW_COUNT;
    UPDATE event_checkpoint SET position = last WHERE name = 'webhooks';
    made := made + called;
    is_more := last < head;
END $$;

-- Hands up to `most` deliveries to a sender, of each endpoint no more than `at_once` at the same time. A sender that dies
-- leaves them to others when its lease is over.
CREATE FUNCTION webhook_claim(most integer, at_once integer, lease_s double precision)
RETURNS SETOF webhook_delivery LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    IF NOT EXISTS (SELECT 1 FROM webhook_delivery WHERE state = 'waiting' AND next_time <= moment) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH open_ AS (
        SELECT p.endpoint_id, p.for_callbacks FROM webhook_endpoint AS p
        WHERE p.enabled AND (p.slow_until IS NULL OR p.slow_until <= moment) AND EXISTS (
            SELECT 1 FROM webhook_delivery AS d
            WHERE d.endpoint_id = p.endpoint_id AND d.state = 'waiting' AND d.next_time <= moment)
        ORDER BY random() LIMIT most FOR NO KEY UPDATE SKIP LOCKED
    ), due AS (
        SELECT found.number FROM open_ CROSS JOIN LATERAL (
            SELECT d.number FROM webhook_delivery AS d
            WHERE d.endpoint_id = open_.endpoint_id AND d.state = 'waiting' AND d.next_time <= moment
            ORDER BY d.next_time, d.number
            LIMIT greatest(0, at_once * CASE WHEN open_.for_callbacks THEN 4 ELSE 1 END - (
                SELECT count(*) FROM webhook_delivery AS other
                WHERE other.endpoint_id = open_.endpoint_id AND other.state = 'waiting' AND other.leased_until > moment))
            FOR UPDATE SKIP LOCKED) AS found
        LIMIT most
    )
    UPDATE webhook_delivery SET
        lease_token = lease_token + 1,
        leased_until = moment + make_interval(secs => lease_s),
        next_time = moment + make_interval(secs => lease_s)
    WHERE number IN (SELECT number FROM due)
    RETURNING webhook_delivery.*;
END $$;

-- Gives up what waits for an endpoint, which gets nothing more. It tells where the gateway itself has decided so.
CREATE FUNCTION webhook_disable(of_endpoint uuid, why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE webhook_endpoint SET enabled = false, disabled_reason = why, slow_until = NULL
    WHERE endpoint_id = of_endpoint AND enabled;
    IF FOUND AND why <> '' THEN
        INSERT INTO event (tenant_id, type, body)
        SELECT tenant_id, 'WebhookEndpointDisabled', json_build_object(
            'endpointId', 'whep_' || replace(endpoint_id::text, '-', ''), 'reason', why)
        FROM webhook_endpoint WHERE endpoint_id = of_endpoint;
    END IF;
    UPDATE webhook_delivery SET state = 'failed', error = 'ENDPOINT_DISABLED', leased_until = NULL,
                                lease_token = lease_token + 1, end_time = clock_timestamp()
    WHERE endpoint_id = of_endpoint AND state = 'waiting';
END $$;

-- Writes what a delivery came to, if the lease is still the sender's; says whether it was. Without `again_s` a failure is
-- the last one. `pause_s`: the endpoint wants nothing at all for so long. `is_gone`: it wants nothing ever again.
CREATE FUNCTION webhook_finish(
    of_delivery uuid, token bigint, ok boolean, status integer, why text, ms integer,
    again_s double precision, pause_s double precision, is_gone boolean, failing_max interval
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    p webhook_endpoint;
    moment timestamptz := clock_timestamp();
BEGIN
    SELECT endpoint.* INTO p FROM webhook_endpoint AS endpoint JOIN webhook_delivery AS d USING (endpoint_id)
    WHERE d.delivery_id = of_delivery FOR NO KEY UPDATE OF endpoint;
    UPDATE webhook_delivery SET
        state = CASE WHEN ok THEN 'delivered' WHEN again_s IS NULL OR is_gone THEN 'failed' ELSE 'waiting' END,
        attempt = attempt + 1, http_status = status, error = why, took_ms = ms, leased_until = NULL,
        next_time = moment + make_interval(secs => coalesce(again_s, 0)),
        end_time = CASE WHEN ok OR again_s IS NULL OR is_gone THEN moment END
    WHERE delivery_id = of_delivery AND lease_token = token AND state = 'waiting';
    IF NOT FOUND THEN
        RETURN false;
    ELSIF p.for_callbacks THEN  -- each callback is somebody else's address
        RETURN true;
    ELSIF ok THEN
        UPDATE webhook_endpoint SET failing_since = NULL
        WHERE endpoint_id = p.endpoint_id AND failing_since IS NOT NULL;
    ELSE
        UPDATE webhook_endpoint SET
            failing_since = coalesce(failing_since, moment),
            slow_until = greatest(slow_until, moment + make_interval(secs => pause_s))
        WHERE endpoint_id = p.endpoint_id;
        PERFORM webhook_disable(p.endpoint_id, CASE WHEN is_gone THEN 'GONE' ELSE 'FAILING' END)
        WHERE is_gone OR p.failing_since < moment - failing_max;
    END IF;
    RETURN true;
END $$;
