CREATE TABLE chunks (
    run_id     TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    no         INTEGER NOT NULL,
    records    TEXT NOT NULL,
    read       INTEGER NOT NULL DEFAULT 0,
    claimed_by TEXT,
    claimed_at INTEGER,
    touched_at INTEGER,
    PRIMARY KEY (run_id, no)
) STRICT;
CREATE INDEX chunks_unclaimed ON chunks (run_id, no) WHERE claimed_by IS NULL AND read = 0;
CREATE INDEX chunks_in_flight ON chunks (run_id, no) WHERE claimed_by IS NOT NULL AND read = 0;
