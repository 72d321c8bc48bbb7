ALTER TABLE runs ADD COLUMN paused_at timestamptz, ADD COLUMN paused_by text;

-- Connections of which nothing new is begun.
CREATE TABLE paused_connections (
    name  text PRIMARY KEY,
    since timestamptz NOT NULL,
    actor text NOT NULL
);
