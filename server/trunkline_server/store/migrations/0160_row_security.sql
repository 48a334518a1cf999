-- Row-level security: a second wall behind the `tenant_id` that every statement names. What is asked for one tenant goes to
-- the database under the role `trunkline_tenant`, which sees and writes rows of the tenant in the setting
-- `trunkline.tenant` of the transaction, and none without one. The ledger, jobs and chores work for everybody, as the owner
-- of the tables, whom policies do not hold.

DO $$
DECLARE
    was text := current_setting('role');
BEGIN
    IF to_regrole('trunkline_tenant') IS NULL THEN
        CREATE ROLE trunkline_tenant NOLOGIN;
    END IF;
    BEGIN
        PERFORM set_config('role', 'trunkline_tenant', true);
        PERFORM set_config('role', was, true);
    EXCEPTION WHEN insufficient_privilege THEN
        EXECUTE format('GRANT trunkline_tenant TO %I', current_user);
    END;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL; -- made for another database of the same server meanwhile
    WHEN insufficient_privilege THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'this user may not make the role trunkline_tenant',
            HINT = format('as an administrator: CREATE ROLE trunkline_tenant NOLOGIN; GRANT trunkline_tenant TO %I',
                          current_user);
END
$$;

CREATE FUNCTION acting_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('trunkline.tenant', true), '')::uuid
$$;

-- Holds the role to rows for which `is_own` is true; other roles see what they saw before.
CREATE FUNCTION confine(of_table regclass, is_own text DEFAULT 'tenant_id = (SELECT acting_tenant())') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', of_table);
    EXECUTE format('CREATE POLICY everybody ON %s USING (true)', of_table);
    EXECUTE format('CREATE POLICY own ON %s AS RESTRICTIVE TO trunkline_tenant USING (%s)', of_table, is_own);
END
$$;

SELECT confine(attrelid::regclass)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
  AND attname = 'tenant_id' AND NOT attisdropped;

-- What hangs on such rows has no tenant of its own: it is seen with its row, which the role sees or does not see.
SELECT confine('prompt_version', 'EXISTS (SELECT FROM prompt WHERE prompt.prompt_id = prompt_version.prompt_id)');
SELECT confine('conversation_message', 'EXISTS (
    SELECT FROM conversation WHERE conversation.conversation_id = conversation_message.conversation_id)');
SELECT confine('vector_store_file', 'EXISTS (
    SELECT FROM vector_store WHERE vector_store.vector_store_id = vector_store_file.vector_store_id)');

DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO trunkline_tenant', current_schema()); END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON
    prompt, prompt_version, assistant, tool, conversation, conversation_message, webhook_endpoint, webhook_delivery,
    action_handler, guard_policy
TO trunkline_tenant;
GRANT SELECT, INSERT, UPDATE ON file, collection TO trunkline_tenant;
GRANT INSERT ON event TO trunkline_tenant;
GRANT SELECT ON vector_store, vector_store_file, usage, custom_event, audit_entry, event_wish TO trunkline_tenant;

-- Entries of the audit are written with the rights of the tables' owner: whoever is confined could not write them.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION audit_row() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;
