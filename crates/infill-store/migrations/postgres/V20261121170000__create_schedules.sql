-- A plan that a planner starts by itself. Whoever changes a schedule adds to its revision; a start is decided on one revision.
CREATE TABLE schedules (
    plan_name   text NOT NULL,
    connection  text NOT NULL,
    plan        text NOT NULL,
    next_start  timestamptz NOT NULL,
    waiting     timestamptz,
    paused_at   timestamptz,
    missed      bigint NOT NULL DEFAULT 0,
    missed_told bigint NOT NULL DEFAULT 0,
    skipped     bigint NOT NULL DEFAULT 0,
    last_start  timestamptz,
    last_run    uuid,
    revision    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (plan_name, connection)
);
