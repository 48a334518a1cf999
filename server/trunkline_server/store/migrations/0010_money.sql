-- Credits that expire, refunds of all that is left, charges at another price, and what an audit rests on.

-- Credits with an end ---------------------------------------------------------------------------------------------
-- A grant may have an end. What is spent is taken from the credits that end first; what is left of them at their end
-- is moved out. Credits that a running call holds are not: what the call leaves of them goes when it is over.

ALTER TABLE account ADD COLUMN lapse_at timestamptz;  -- the next end of credits; null: they have none

CREATE TABLE credit (
    transfer_id bigint PRIMARY KEY,  -- the grant
    tenant_id   uuid NOT NULL,
    account_id  uuid NOT NULL,
    amount      bigint NOT NULL CHECK (amount > 0),
    remaining   bigint NOT NULL CHECK (remaining BETWEEN 0 AND amount),
    expires_at  timestamptz NOT NULL
);

CREATE INDEX credit_open ON credit (account_id, expires_at, transfer_id) WHERE remaining > 0;
CREATE INDEX credit_due ON credit (expires_at) WHERE remaining > 0;

ALTER TABLE transfer DROP CONSTRAINT transfer_kind_check, ADD CONSTRAINT transfer_kind_check CHECK (
    kind IN ('grant', 'settle', 'overage', 'late_settle', 'refund', 'adjust', 'expire', 'reprice'));

DROP INDEX transfer_refunds;
CREATE INDEX transfer_mended ON transfer (hold_id) WHERE kind IN ('refund', 'reprice');

CREATE OR REPLACE FUNCTION ledger_contra(kind text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE kind
        WHEN 'grant' THEN '00000000-0000-0000-0000-000000000001'::uuid   -- funding
        WHEN 'adjust' THEN '00000000-0000-0000-0000-000000000003'::uuid  -- adjustments
        WHEN 'expire' THEN '00000000-0000-0000-0000-000000000004'::uuid  -- expired
        ELSE '00000000-0000-0000-0000-000000000002'::uuid                -- revenue
    END
$$;

-- The next end among an account's credits.
CREATE FUNCTION ledger_lapse_at(of_account uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT min(expires_at) FROM credit WHERE account_id = of_account AND remaining > 0
$$;

-- Takes what was spent out of the credits that end first, and returns the next end.
CREATE FUNCTION ledger_consume(of_account uuid, spent bigint) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    UPDATE credit SET remaining = greatest(0, remaining - (spent - before))
    FROM (SELECT transfer_id AS id, sum(remaining) OVER (ORDER BY expires_at, transfer_id) - remaining AS before
          FROM credit WHERE account_id = of_account AND remaining > 0) AS queue
    WHERE transfer_id = id AND before < spent;
    RETURN ledger_lapse_at(of_account);
END $$;

CREATE OR REPLACE FUNCTION ledger_save(changed account[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE account o SET
        posted_credit = n.posted_credit,
        posted_debit = n.posted_debit,
        held = n.held,
        lapse_at = n.lapse_at,
        overrun = CASE WHEN n.unlimited THEN 0 ELSE
            least(n.overrun, ledger_beyond(n.posted_debit + n.held - n.posted_credit, n.overdraft_limit)) END,
        version = n.version + 1
    FROM unnest(changed) AS n
    WHERE o.id = n.id
      AND (o.posted_credit, o.posted_debit, o.held, o.lapse_at)
          IS DISTINCT FROM (n.posted_credit, n.posted_debit, n.held, n.lapse_at);
END $$;

CREATE OR REPLACE FUNCTION ledger_post(
    INOUT a account, kind text, amount bigint, hold_id uuid, request_id text, reason text
) LANGUAGE plpgsql AS $$
BEGIN
    IF amount = 0 THEN
        RETURN;
    ELSIF amount > 0 THEN
        a.posted_credit := a.posted_credit + amount;
    ELSE
        a.posted_debit := a.posted_debit - amount;
    END IF;
    IF amount < 0 AND kind NOT IN ('settle', 'expire') AND NOT a.unlimited THEN
        a.overrun := a.overrun - amount;
    END IF;
    IF amount < 0 AND kind <> 'expire' AND a.lapse_at IS NOT NULL THEN
        a.lapse_at := ledger_consume(a.id, -amount);
    END IF;
    INSERT INTO transfer (tenant_id, account_id, contra_id, kind, amount, balance_after, hold_id, request_id, reason)
    VALUES (a.tenant_id, a.id, ledger_contra(kind), kind, amount, a.posted_credit - a.posted_debit,
            hold_id, request_id, reason);
END $$;

-- Moves out what is over of a locked account's credits and is not held.
CREATE FUNCTION ledger_lapse(INOUT a account) LANGUAGE plpgsql AS $$
DECLARE
    over credit;
    gone bigint;
BEGIN
    FOR over IN
        SELECT * FROM credit
        WHERE account_id = a.id AND remaining > 0 AND expires_at <= clock_timestamp()
        ORDER BY expires_at, transfer_id
    LOOP
        gone := least(over.remaining, a.posted_credit - a.posted_debit - a.held);
        EXIT WHEN gone <= 0;
        UPDATE credit SET remaining = remaining - gone WHERE transfer_id = over.transfer_id;
        a := ledger_post(a, 'expire', -gone, NULL, NULL, 'tran_' || lpad(to_hex(over.transfer_id), 16, '0'));
    END LOOP;
    a.lapse_at := ledger_lapse_at(a.id);
END $$;

-- The same for some of the accounts whose credits are over, and says for how many. Who is busy is left for later.
CREATE FUNCTION ledger_lapse_due(up_to integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    due uuid[] := ARRAY(
        SELECT DISTINCT account_id
        FROM credit JOIN account ON account.id = account_id
        WHERE remaining > 0 AND expires_at <= clock_timestamp() AND posted_credit - posted_debit - held > 0
        LIMIT up_to);
    a account;
    lapsed account[];
BEGIN
    FOR a IN SELECT * FROM account WHERE id = ANY (due) ORDER BY id FOR UPDATE SKIP LOCKED LOOP
        lapsed := array_append(lapsed, ledger_lapse(a));
    END LOOP;
    PERFORM ledger_save(lapsed);
    RETURN cardinality(coalesce(lapsed, '{}'));
END $$;

-- As before, and credits whose end has come are not held any more.
CREATE OR REPLACE FUNCTION ledger_hold(
    INOUT a account, op ledger_op, OUT h hold, OUT verdict text, OUT spent json
) LANGUAGE plpgsql AS $$
BEGIN
    IF a.lapse_at <= clock_timestamp() THEN
        a := ledger_lapse(a);
    END IF;
    verdict := CASE
        WHEN a.id IS NULL THEN NULL
        WHEN a.suspended THEN 'suspended'
        WHEN a.unlimited OR ledger_available(a) >= op.amount THEN 'held'
        ELSE 'insufficient'
    END;
    IF verdict = 'held' THEN
        INSERT INTO hold (id, tenant_id, account_id, amount, provider, model, price_version, request_id, expires_at)
        VALUES (op.hold_id, a.tenant_id, a.id, op.amount, op.provider, op.model, op.price_version, op.request_id,
                clock_timestamp() + make_interval(secs => op.ttl_s))
        ON CONFLICT DO NOTHING RETURNING * INTO h;
        IF FOUND THEN
            a.held := a.held + op.amount;
            RETURN;
        END IF;
    END IF;
    SELECT * INTO h FROM hold
    WHERE id = op.hold_id OR (tenant_id = a.tenant_id AND request_id = op.request_id);
    IF FOUND THEN
        verdict := CASE
            WHEN (h.account_id, h.amount, h.provider, h.model) = (a.id, op.amount, op.provider, op.model)
            THEN h.state ELSE 'reused' END;
    END IF;
END $$;

-- What an operator posts -------------------------------------------------------------------------------------------

-- What is left to give back of the charge behind a hold, at the price that it was mended to.
CREATE OR REPLACE FUNCTION ledger_refundable(of_hold uuid, for_account uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT charged FROM hold WHERE id = of_hold AND account_id = for_account), 0)
         - coalesce((SELECT sum(amount) FROM transfer
                     WHERE hold_id = of_hold AND kind IN ('refund', 'reprice')), 0)::bigint
$$;

DROP FUNCTION ledger_transfer(uuid, uuid, text, bigint, text, text, uuid);

-- Grant, refund, adjust. The request id makes it happen once. A refund of null gives back all that is left; a grant may
-- have an end, and first pays a debt, which does not come back then.
CREATE FUNCTION ledger_transfer(
    for_tenant uuid, for_account uuid, as_kind text, by_amount bigint, as_request text, why text, of_hold uuid,
    until timestamptz DEFAULT NULL, OUT verdict text, OUT posted transfer
) LANGUAGE plpgsql AS $$
DECLARE
    a account;
    left_over bigint;
BEGIN
    SELECT * INTO a FROM account WHERE id = for_account AND tenant_id = for_tenant FOR UPDATE;
    IF NOT FOUND THEN
        verdict := 'unknown';
        RETURN;
    END IF;
    SELECT * INTO posted FROM transfer WHERE tenant_id = for_tenant AND request_id = as_request;
    IF FOUND THEN
        verdict := CASE
            WHEN (posted.account_id, posted.kind, posted.amount)
                 = (for_account, as_kind, coalesce(by_amount, posted.amount))
             AND posted.hold_id IS NOT DISTINCT FROM of_hold
             AND until IS NOT DISTINCT FROM (SELECT expires_at FROM credit WHERE transfer_id = posted.id)
            THEN 'posted' ELSE 'reused' END;
        RETURN;
    END IF;
    IF as_kind = 'refund' THEN
        left_over := ledger_refundable(of_hold, for_account);
        by_amount := coalesce(by_amount, left_over);
    END IF;
    verdict := CASE
        WHEN by_amount > left_over OR by_amount = 0 THEN 'exceeded'
        WHEN until <= clock_timestamp() THEN 'over'
        ELSE 'posted'
    END;
    IF verdict <> 'posted' THEN
        RETURN;
    END IF;
    a := ledger_post(a, as_kind, by_amount, of_hold, as_request, why);
    SELECT * INTO posted FROM transfer WHERE tenant_id = for_tenant AND request_id = as_request;
    IF until IS NOT NULL THEN
        INSERT INTO credit VALUES (posted.id, for_tenant, for_account, by_amount,
            least(by_amount, greatest(0, a.posted_credit - a.posted_debit)), until);
        a.lapse_at := ledger_lapse_at(a.id);
    END IF;
    PERFORM ledger_save(ARRAY[a]);
END $$;

-- Charges at another price -----------------------------------------------------------------------------------------
-- A price that is set for the past changes no row that was written: the difference is posted, and noted here.

CREATE TABLE repricing (
    tenant_id     uuid NOT NULL,
    completion_id uuid NOT NULL,
    price_version text NOT NULL,
    cost_nano_usd bigint NOT NULL,  -- by how much the call costs more, or less
    charge_nanos  bigint NOT NULL,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (completion_id, price_version)
);

CREATE FUNCTION repricing_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a repricing is never changed; price anew' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER repricing_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON repricing
    FOR EACH STATEMENT EXECUTE FUNCTION repricing_stands();

-- Brings the charge behind a hold to another price, once for each price. What was refunded is not given back again.
-- Returns what was posted: above zero where the account gained; null where this was done before.
CREATE FUNCTION ledger_reprice(
    for_tenant uuid, for_account uuid, of_hold uuid, of_completion uuid, to_version text, dearer_nano_usd bigint,
    dearer_nanos bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    a account;
    gain bigint;
BEGIN
    SELECT * INTO a FROM account WHERE id = for_account AND tenant_id = for_tenant FOR UPDATE;
    gain := least(-dearer_nanos, greatest(0, ledger_refundable(of_hold, for_account)));
    INSERT INTO repricing (tenant_id, completion_id, price_version, cost_nano_usd, charge_nanos)
    VALUES (for_tenant, of_completion, to_version, dearer_nano_usd, -gain) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    a := ledger_post(a, 'reprice', gain, of_hold, NULL, 'price ' || to_version);
    PERFORM ledger_save(ARRAY[a]);
    RETURN gain;
END $$;

-- Upkeep -----------------------------------------------------------------------------------------------------------

-- Rows by their time at nearly no cost to whoever writes them.
CREATE INDEX hold_closed ON hold USING brin (closed_at) WITH (pages_per_range = 16);
CREATE INDEX usage_recent ON usage USING brin (create_time) WITH (pages_per_range = 16);

-- Holds that were closed before this may be gone.
CREATE TABLE hold_purge (
    one           boolean PRIMARY KEY DEFAULT true CHECK (one),
    closed_before timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO hold_purge DEFAULT VALUES;

-- Up to where an account was found right, so that the next audit need not begin at the beginning.
CREATE TABLE audit_mark (
    account_id    uuid PRIMARY KEY,
    transfer_id   bigint NOT NULL,
    posted_credit bigint NOT NULL,
    posted_debit  bigint NOT NULL
);

CREATE TABLE ledger_audit (
    audit_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    whole         boolean NOT NULL,
    through_id    bigint NOT NULL,  -- the last transfer that was there
    accounts      bigint NOT NULL,
    transfers     bigint NOT NULL,
    finding_count integer NOT NULL,
    duration_ms   bigint NOT NULL,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp()
);
