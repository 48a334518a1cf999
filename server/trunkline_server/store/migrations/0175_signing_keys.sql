-- Keys without a secret: their callers sign each request, and here is the public key that a signature is held against.

ALTER TABLE api_key
    ADD COLUMN public_key bytea CHECK (octet_length(public_key) = 32),
    ADD COLUMN previous_public_key bytea CHECK (octet_length(previous_public_key) = 32),
    ADD CONSTRAINT api_key_proof CHECK ((public_key IS NULL) = (secret_hash <> ''));

DROP TRIGGER api_key_rotated ON api_key;
CREATE TRIGGER api_key_rotated AFTER UPDATE OF secret_hash, public_key ON api_key FOR EACH ROW
WHEN ((NEW.secret_hash, NEW.public_key) IS DISTINCT FROM (OLD.secret_hash, OLD.public_key))
EXECUTE FUNCTION api_key_told('ApiKeyRotated');

DROP TRIGGER audit_rotate ON api_key;
CREATE TRIGGER audit_rotate AFTER UPDATE ON api_key FOR EACH ROW
WHEN ((NEW.secret_hash, NEW.public_key) IS DISTINCT FROM (OLD.secret_hash, OLD.public_key))
EXECUTE FUNCTION audit_row('api_key.rotate', 'key_id', '');

-- Signatures that were used, for as long as they could be sent again.
CREATE TABLE request_nonce (
    key_id      text NOT NULL,
    nonce       text NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (key_id, nonce)
);

CREATE INDEX request_nonce_due ON request_nonce (expire_time);
