-- Jobs that will say something in a conversation, as long as they have not ended: they take their turns in the order in
-- which they were made.

CREATE TABLE conversation_job (
    job_id          uuid PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    conversation_id uuid NOT NULL
);

CREATE INDEX conversation_job_in_order ON conversation_job (conversation_id, job_id);

CREATE FUNCTION conversation_job_over() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM conversation_job WHERE job_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER conversation_job_over AFTER UPDATE OF state ON job FOR EACH ROW
WHEN (NEW.kind = 'chat' AND NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL)
EXECUTE FUNCTION conversation_job_over();
