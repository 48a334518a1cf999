-- The audit: who did what to which, and never what it says. Each tenant's entries are a chain: an entry's hash covers the
-- hash before it, so that nothing can be changed, taken out or put in unseen; heads are signed outside of the database,
-- so that a chain cannot be made anew either.
--
-- Triggers write it, in the transaction of the change: without the entry there is no change. Who acts stands in the
-- setting `trunkline.actor` of the transaction; where it is empty, the gateway acts by itself, or somebody at the database.

CREATE TABLE audit_entry (
    tenant_id   uuid NOT NULL,
    sequence    bigint NOT NULL CHECK (sequence > 0), -- without gaps
    create_time timestamptz NOT NULL,
    principal   text NOT NULL,
    action      text NOT NULL,
    resource    text NOT NULL,
    method      text NOT NULL,
    request_id  text NOT NULL,
    hash        bytea NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);

CREATE TABLE audit_head (
    tenant_id uuid PRIMARY KEY,
    sequence  bigint NOT NULL DEFAULT 0,
    hash      bytea NOT NULL DEFAULT '\x'
);

CREATE TABLE audit_signature (
    tenant_id   uuid NOT NULL,
    sequence    bigint NOT NULL,
    signature   bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, sequence)
);

CREATE FUNCTION audit_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is only added to' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
FOR EACH STATEMENT EXECUTE FUNCTION audit_stands();

CREATE TRIGGER audit_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_signature
FOR EACH STATEMENT EXECUTE FUNCTION audit_stands();

CREATE FUNCTION audit_actor() RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('trunkline.actor', true), ''), '{}')::jsonb
$$;

-- The head's lock makes entries of a tenant come one after another, in the order of their commits.
CREATE FUNCTION audit_append(of_tenant uuid, did text, to_what text) RETURNS void LANGUAGE plpgsql
SET lock_timeout = '800ms' AS $$
DECLARE
    actor jsonb := audit_actor();
    fresh audit_entry;
    before bytea;
BEGIN
    INSERT INTO audit_head (tenant_id) VALUES (of_tenant) ON CONFLICT DO NOTHING;
    SELECT sequence + 1, hash INTO fresh.sequence, before FROM audit_head WHERE tenant_id = of_tenant FOR UPDATE;
    fresh.tenant_id := of_tenant;
    fresh.create_time := clock_timestamp();
    fresh.principal := coalesce(actor->>'principal', '');
    fresh.action := did;
    fresh.resource := to_what;
    fresh.method := coalesce(actor->>'method', '');
    fresh.request_id := coalesce(actor->>'request_id', '');
    fresh.hash := sha256(before || convert_to(json_build_array(
        fresh.tenant_id, fresh.sequence, (extract(epoch FROM fresh.create_time) * 1000000)::bigint, fresh.principal,
        fresh.action, fresh.resource, fresh.method, fresh.request_id)::text, 'UTF8'));
    INSERT INTO audit_entry SELECT fresh.*;
    UPDATE audit_head SET sequence = fresh.sequence, hash = fresh.hash WHERE tenant_id = of_tenant;
END
$$;

-- Arguments: the action, the column that names the resource, the prefix of its id. What has no tenant is the actor's.
CREATE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed jsonb := to_jsonb(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END);
    named text := changed->>TG_ARGV[1];
    of_tenant text := coalesce(changed->>'tenant_id', audit_actor()->>'tenant_id');
BEGIN
    PERFORM audit_append(
        coalesce(of_tenant, '00000000-0000-0000-0000-000000000000')::uuid,
        CASE WHEN TG_ARGV[0] LIKE '%.' THEN TG_ARGV[0] || (changed->>TG_ARGV[3]) ELSE TG_ARGV[0] END,
        CASE TG_ARGV[2] WHEN '' THEN named ELSE TG_ARGV[2] || '_' || replace(named, '-', '') END);
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_create AFTER INSERT ON tenant
FOR EACH ROW EXECUTE FUNCTION audit_row('tenant.create', 'tenant_id', 'tnt');
CREATE TRIGGER audit_update AFTER UPDATE ON tenant
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION audit_row('tenant.update', 'tenant_id', 'tnt');

CREATE TRIGGER audit_create AFTER INSERT ON api_key
FOR EACH ROW EXECUTE FUNCTION audit_row('api_key.create', 'key_id', '');
CREATE TRIGGER audit_rotate AFTER UPDATE ON api_key
FOR EACH ROW WHEN (OLD.secret_hash <> NEW.secret_hash) EXECUTE FUNCTION audit_row('api_key.rotate', 'key_id', '');
CREATE TRIGGER audit_revoke AFTER UPDATE ON api_key
FOR EACH ROW WHEN (OLD.revoke_time IS NULL AND NEW.revoke_time IS NOT NULL)
EXECUTE FUNCTION audit_row('api_key.revoke', 'key_id', '');
CREATE TRIGGER audit_update AFTER UPDATE ON api_key
FOR EACH ROW WHEN ((OLD.scopes, OLD.models, OLD.expire_time, OLD.tenant_id) IS DISTINCT FROM
                   (NEW.scopes, NEW.models, NEW.expire_time, NEW.tenant_id))
EXECUTE FUNCTION audit_row('api_key.update', 'key_id', '');
CREATE TRIGGER audit_delete AFTER DELETE ON api_key
FOR EACH ROW EXECUTE FUNCTION audit_row('api_key.delete', 'key_id', '');

-- Keys at providers have had a record of their own, of changes and of uses, from the start.
CREATE TRIGGER audit_note AFTER INSERT ON provider_account_audit
FOR EACH ROW EXECUTE FUNCTION audit_row('provider_account.', 'account_id', 'pacc', 'action');

CREATE TRIGGER audit_create AFTER INSERT ON webhook_endpoint
FOR EACH ROW EXECUTE FUNCTION audit_row('webhook_endpoint.create', 'endpoint_id', 'whep');
CREATE TRIGGER audit_rotate AFTER UPDATE ON webhook_endpoint
FOR EACH ROW WHEN (OLD.secret <> NEW.secret)
EXECUTE FUNCTION audit_row('webhook_endpoint.rotate', 'endpoint_id', 'whep');
CREATE TRIGGER audit_update AFTER UPDATE ON webhook_endpoint
FOR EACH ROW WHEN ((OLD.uri, OLD.types, OLD.enabled, OLD.description) IS DISTINCT FROM
                   (NEW.uri, NEW.types, NEW.enabled, NEW.description))
EXECUTE FUNCTION audit_row('webhook_endpoint.update', 'endpoint_id', 'whep');
CREATE TRIGGER audit_delete AFTER DELETE ON webhook_endpoint
FOR EACH ROW EXECUTE FUNCTION audit_row('webhook_endpoint.delete', 'endpoint_id', 'whep');

CREATE TRIGGER audit_set AFTER INSERT OR UPDATE ON rate_limit
FOR EACH ROW EXECUTE FUNCTION audit_row('rate_limit.set', 'name', '');
CREATE TRIGGER audit_delete AFTER DELETE ON rate_limit
FOR EACH ROW EXECUTE FUNCTION audit_row('rate_limit.delete', 'name', '');

CREATE TRIGGER audit_set AFTER INSERT OR UPDATE ON budget
FOR EACH ROW EXECUTE FUNCTION audit_row('budget.set', 'name', '');
CREATE TRIGGER audit_delete AFTER DELETE ON budget
FOR EACH ROW EXECUTE FUNCTION audit_row('budget.delete', 'name', '');

CREATE TRIGGER audit_set AFTER INSERT OR UPDATE ON guard_policy
FOR EACH ROW EXECUTE FUNCTION audit_row('guard_policy.set', 'tenant_id', 'tnt');
CREATE TRIGGER audit_delete AFTER DELETE ON guard_policy
FOR EACH ROW EXECUTE FUNCTION audit_row('guard_policy.delete', 'tenant_id', 'tnt');

CREATE TRIGGER audit_set AFTER INSERT OR UPDATE ON model_alias
FOR EACH ROW EXECUTE FUNCTION audit_row('model_alias.set', 'alias', '');
CREATE TRIGGER audit_delete AFTER DELETE ON model_alias
FOR EACH ROW EXECUTE FUNCTION audit_row('model_alias.delete', 'alias', '');

CREATE TRIGGER audit_set AFTER INSERT ON price
FOR EACH ROW EXECUTE FUNCTION audit_row('price.set', 'version', '');

-- Of the ledger, what somebody posts or configures; what calls do stands in the ledger itself.
CREATE TRIGGER audit_post AFTER INSERT ON transfer
FOR EACH ROW WHEN (NEW.kind IN ('grant', 'adjust', 'refund') AND NEW.request_id IS NOT NULL
                   AND current_setting('trunkline.actor', true) <> '')
EXECUTE FUNCTION audit_row('credits.', 'account_id', 'acct', 'kind');
CREATE TRIGGER audit_update AFTER UPDATE OF unlimited, suspended, overdraft_limit, low_balance_nanos ON account
FOR EACH ROW WHEN ((OLD.unlimited, OLD.suspended, OLD.overdraft_limit, OLD.low_balance_nanos) IS DISTINCT FROM
                   (NEW.unlimited, NEW.suspended, NEW.overdraft_limit, NEW.low_balance_nanos))
EXECUTE FUNCTION audit_row('account.update', 'id', 'acct');
