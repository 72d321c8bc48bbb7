-- JSON is kept as text: json types cannot all hold an escaped NUL, and nothing here is searched inside.
CREATE TABLE runs (
    id           uuid PRIMARY KEY,
    plan_name    text NOT NULL,
    connection   text NOT NULL,
    plan         text NOT NULL,
    row_cap      bigint,
    in_flight    bigint NOT NULL,
    state        text NOT NULL,
    cause        text,
    parked_until timestamptz,
    parked_why   text,
    slice        text,
    compiled     text,
    warnings     text NOT NULL DEFAULT '[]',
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    touched_at   timestamptz
);
CREATE INDEX runs_by_plan ON runs (plan_name, connection);
CREATE INDEX runs_unfinished ON runs (id) WHERE ended_at IS NULL;

-- What changes with every save, apart from the wide tuple above; room is left so that an update stays on its page.
CREATE TABLE run_progress (
    run_id           uuid PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    listing          text,
    listed           boolean NOT NULL DEFAULT false,
    ids              bigint NOT NULL DEFAULT 0,
    chunks           bigint NOT NULL DEFAULT 0,
    chunks_in_flight bigint NOT NULL DEFAULT 0 CHECK (chunks_in_flight >= 0),
    chunks_read      bigint NOT NULL DEFAULT 0,
    n_rows           bigint NOT NULL DEFAULT 0,
    batches          bigint NOT NULL DEFAULT 0,
    batches_queued   bigint NOT NULL DEFAULT 0 CHECK (batches_queued >= 0),
    batches_ran      bigint NOT NULL DEFAULT 0 CHECK (batches_ran >= 0),
    batches_settled  bigint NOT NULL DEFAULT 0 CHECK (batches_settled >= 0),
    verified         bigint NOT NULL DEFAULT 0 CHECK (verified >= 0),
    written          bigint NOT NULL DEFAULT 0 CHECK (written >= 0),
    unchanged        bigint NOT NULL DEFAULT 0 CHECK (unchanged >= 0),
    skipped          bigint NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    held             bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    differs          bigint NOT NULL DEFAULT 0 CHECK (differs >= 0),
    failed           bigint NOT NULL DEFAULT 0 CHECK (failed >= 0),
    gone             bigint NOT NULL DEFAULT 0 CHECK (gone >= 0),
    calls            bigint NOT NULL DEFAULT 0,
    saved_at         timestamptz
) WITH (fillfactor = 50);
