ALTER TABLE runs ADD COLUMN paused_at INTEGER;
ALTER TABLE runs ADD COLUMN paused_by TEXT;

-- Connections of which nothing new is begun.
CREATE TABLE paused_connections (
    name  TEXT PRIMARY KEY NOT NULL,
    since INTEGER NOT NULL,
    actor TEXT NOT NULL
) STRICT, WITHOUT ROWID;
