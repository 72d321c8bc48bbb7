-- The pages stand in the same tuple as the lease, so that a statement that waited for the lease sees the pages
-- of that moment; PostgreSQL keeps wide values aside and does not rewrite those that did not change.
CREATE TABLE batches (
    run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    no          bigint NOT NULL,
    state       text NOT NULL DEFAULT 'pending',
    n_rows      bigint NOT NULL,
    source      text NOT NULL,
    results     text NOT NULL DEFAULT '[]',
    states      text NOT NULL DEFAULT '[]',
    revision    bigint NOT NULL DEFAULT 0,
    pulled_at   timestamptz NOT NULL,
    claimed_by  text,
    claimed_at  timestamptz,
    touched_at  timestamptz,
    saved_at    timestamptz,
    lease_owner bigint,
    lease_until timestamptz,
    verified    bigint NOT NULL DEFAULT 0,
    written     bigint NOT NULL DEFAULT 0,
    unchanged   bigint NOT NULL DEFAULT 0,
    skipped     bigint NOT NULL DEFAULT 0,
    held        bigint NOT NULL DEFAULT 0,
    differs     bigint NOT NULL DEFAULT 0,
    failed      bigint NOT NULL DEFAULT 0,
    gone        bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, no)
);
CREATE INDEX batches_pending ON batches (run_id, no) WHERE state = 'pending';
CREATE INDEX batches_in_flight ON batches (run_id, no) WHERE state IN ('queued', 'ran');

-- lz4 costs the server far less than the default compression; servers before 14, or built without it, do without.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE batches ALTER COLUMN source SET COMPRESSION lz4, ALTER COLUMN results SET COMPRESSION lz4';
EXCEPTION WHEN syntax_error OR feature_not_supported OR invalid_parameter_value THEN
    NULL;
END
$$;
