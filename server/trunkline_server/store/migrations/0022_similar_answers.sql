-- Answers that were kept together with what their questions mean. `scope` is everything that must be the same: the
-- question without the words of its last message, and the model that made the vector. Vectors have the length 1.

CREATE TABLE similar_answer (
    tenant_id uuid NOT NULL REFERENCES tenant,
    scope bytea NOT NULL,
    question bytea NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    vector real[] NOT NULL,
    answer bytea NOT NULL,
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, scope, question)
);

CREATE INDEX similar_answer_by_time ON similar_answer (tenant_id, create_time);
CREATE INDEX similar_answer_by_end ON similar_answer (expire_time);
