CREATE TABLE chunks (
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    no         bigint NOT NULL,
    records    text NOT NULL,
    read       boolean NOT NULL DEFAULT false,
    claimed_by text,
    claimed_at timestamptz,
    touched_at timestamptz,
    PRIMARY KEY (run_id, no)
);
CREATE INDEX chunks_unclaimed ON chunks (run_id, no) WHERE claimed_by IS NULL AND NOT read;
CREATE INDEX chunks_in_flight ON chunks (run_id, no) WHERE claimed_by IS NOT NULL AND NOT read;
