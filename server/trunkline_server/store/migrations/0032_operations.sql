-- Long work at providers: what a job has submitted, so that whoever does the job next goes on from there.
-- A row without an operation says that something may have been submitted whose name was never learned.

CREATE TABLE operation (
    job_id      uuid PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    operation   text,
    submit_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
