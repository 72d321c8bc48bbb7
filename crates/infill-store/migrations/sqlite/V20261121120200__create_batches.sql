CREATE TABLE batches (
    id          INTEGER PRIMARY KEY,
    run_id      TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    no          INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'pending',
    n_rows      INTEGER NOT NULL,
    states      TEXT NOT NULL DEFAULT '[]',
    revision    INTEGER NOT NULL DEFAULT 0,
    pulled_at   INTEGER NOT NULL,
    claimed_by  TEXT,
    claimed_at  INTEGER,
    touched_at  INTEGER,
    saved_at    INTEGER,
    lease_owner INTEGER,
    lease_until INTEGER,
    verified    INTEGER NOT NULL DEFAULT 0,
    written     INTEGER NOT NULL DEFAULT 0,
    unchanged   INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    held        INTEGER NOT NULL DEFAULT 0,
    differs     INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    gone        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (run_id, no)
) STRICT;
CREATE INDEX batches_pending ON batches (run_id, no) WHERE state = 'pending';
CREATE INDEX batches_in_flight ON batches (run_id, no) WHERE state IN ('queued', 'ran');

-- Pages live apart: SQLite rewrites a whole tuple with each change, and these are wide.
CREATE TABLE source_pages (
    batch_id INTEGER PRIMARY KEY REFERENCES batches ON DELETE CASCADE,
    page     TEXT NOT NULL
) STRICT;
CREATE TABLE result_pages (
    batch_id INTEGER PRIMARY KEY REFERENCES batches ON DELETE CASCADE,
    page     TEXT NOT NULL
) STRICT;
