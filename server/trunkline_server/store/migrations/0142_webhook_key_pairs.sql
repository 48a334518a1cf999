-- Endpoints that sign with a private key: the public one is for everybody to know.
ALTER TABLE webhook_endpoint ADD COLUMN public_key text NOT NULL DEFAULT '';
