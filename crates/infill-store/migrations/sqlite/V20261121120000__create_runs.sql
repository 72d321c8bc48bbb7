-- Moments are microseconds since 1970 UTC. JSON is kept as text.
CREATE TABLE runs (
    id           TEXT PRIMARY KEY NOT NULL,
    plan_name    TEXT NOT NULL,
    connection   TEXT NOT NULL,
    plan         TEXT NOT NULL,
    row_cap      INTEGER,
    in_flight    INTEGER NOT NULL,
    state        TEXT NOT NULL,
    cause        TEXT,
    parked_until INTEGER,
    parked_why   TEXT,
    slice        TEXT,
    compiled     TEXT,
    warnings     TEXT NOT NULL DEFAULT '[]',
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    touched_at   INTEGER
) STRICT;
CREATE INDEX runs_by_plan ON runs (plan_name, connection);
CREATE INDEX runs_unfinished ON runs (id) WHERE ended_at IS NULL;

-- What changes with every save, apart from the wide tuple above.
CREATE TABLE run_progress (
    run_id           TEXT PRIMARY KEY NOT NULL REFERENCES runs ON DELETE CASCADE,
    listing          TEXT,
    listed           INTEGER NOT NULL DEFAULT 0,
    ids              INTEGER NOT NULL DEFAULT 0,
    chunks           INTEGER NOT NULL DEFAULT 0,
    chunks_in_flight INTEGER NOT NULL DEFAULT 0 CHECK (chunks_in_flight >= 0),
    chunks_read      INTEGER NOT NULL DEFAULT 0,
    n_rows           INTEGER NOT NULL DEFAULT 0,
    batches          INTEGER NOT NULL DEFAULT 0,
    batches_queued   INTEGER NOT NULL DEFAULT 0 CHECK (batches_queued >= 0),
    batches_ran      INTEGER NOT NULL DEFAULT 0 CHECK (batches_ran >= 0),
    batches_settled  INTEGER NOT NULL DEFAULT 0 CHECK (batches_settled >= 0),
    verified         INTEGER NOT NULL DEFAULT 0 CHECK (verified >= 0),
    written          INTEGER NOT NULL DEFAULT 0 CHECK (written >= 0),
    unchanged        INTEGER NOT NULL DEFAULT 0 CHECK (unchanged >= 0),
    skipped          INTEGER NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    held             INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    differs          INTEGER NOT NULL DEFAULT 0 CHECK (differs >= 0),
    failed           INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    gone             INTEGER NOT NULL DEFAULT 0 CHECK (gone >= 0),
    calls            INTEGER NOT NULL DEFAULT 0,
    saved_at         INTEGER
) STRICT, WITHOUT ROWID;
