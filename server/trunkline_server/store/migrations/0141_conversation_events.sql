-- Events of conversations: what was done, never what was said. Every call in one would write events of messages, so those
-- are written only where somebody wants them, as those of calls are.

CREATE OR REPLACE FUNCTION event_is_of_call(of_type text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT of_type IN (
        'ResponseGenerated', 'CostCalculated', 'RequestFailed', 'FailoverTriggered', 'ProviderSwitched', 'MessageSent')
$$;

CREATE FUNCTION conversation_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (tenant_id, type, body) VALUES (NEW.tenant_id, TG_ARGV[0], CASE TG_ARGV[0]
        WHEN 'ConversationCreated' THEN json_build_object(
            'conversationId', event_id_text('conv', NEW.conversation_id), 'userId', NEW.user_id,
            'parentId', coalesce(event_id_text('conv', NEW.parent_id), ''))
        ELSE json_build_object(
            'conversationId', event_id_text('conv', NEW.conversation_id), 'userId', NEW.user_id) END);
    RETURN NULL;
END $$;

CREATE TRIGGER conversation_created AFTER INSERT ON conversation FOR EACH ROW
EXECUTE FUNCTION conversation_told('ConversationCreated');

CREATE TRIGGER conversation_updated AFTER UPDATE ON conversation FOR EACH ROW
WHEN (NEW.delete_time IS NULL AND (
    NEW.message_count < OLD.message_count
    OR (NEW.title, NEW.system_prompt, NEW.settings, NEW.metadata, NEW.participants)
        IS DISTINCT FROM (OLD.title, OLD.system_prompt, OLD.settings, OLD.metadata, OLD.participants)))
EXECUTE FUNCTION conversation_told('ConversationUpdated');

CREATE TRIGGER conversation_deleted AFTER UPDATE OF delete_time ON conversation FOR EACH ROW
WHEN (NEW.delete_time IS NOT NULL AND OLD.delete_time IS NULL)
EXECUTE FUNCTION conversation_told('ConversationDeleted');

-- Messages that a fork takes along keep their times; they were told of when they were new.
CREATE FUNCTION message_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM event_wish) AND NOT EXISTS (SELECT FROM webhook_endpoint WHERE enabled) THEN
        RETURN NULL;
    END IF;
    INSERT INTO event (tenant_id, type, body)
    SELECT talk.tenant_id, 'MessageSent', json_build_object(
        'conversationId', event_id_text('conv', talk.conversation_id),
        'messageId', event_id_text('msg', fresh.message_id), 'position', fresh.position::text,
        'role', CASE fresh.role WHEN 1 THEN 'ROLE_SYSTEM' WHEN 2 THEN 'ROLE_DEVELOPER' WHEN 3 THEN 'ROLE_USER'
            WHEN 4 THEN 'ROLE_ASSISTANT' WHEN 5 THEN 'ROLE_TOOL' ELSE 'ROLE_UNSPECIFIED' END,
        'userId', fresh.user_id, 'model', fresh.model)
    FROM fresh JOIN conversation AS talk USING (conversation_id)
    WHERE fresh.create_time >= transaction_timestamp() AND event_is_wanted(talk.tenant_id, 'MessageSent')
    ORDER BY fresh.position;
    RETURN NULL;
END $$;

CREATE TRIGGER message_told AFTER INSERT ON conversation_message REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION message_told();
