-- A plan that a planner starts by itself. Whoever changes a schedule adds to its revision; a start is decided on one revision.
CREATE TABLE schedules (
    plan_name   TEXT NOT NULL,
    connection  TEXT NOT NULL,
    plan        TEXT NOT NULL,
    next_start  INTEGER NOT NULL,
    waiting     INTEGER,
    paused_at   INTEGER,
    missed      INTEGER NOT NULL DEFAULT 0,
    missed_told INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    last_start  INTEGER,
    last_run    TEXT,
    revision    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (plan_name, connection)
) STRICT, WITHOUT ROWID;
