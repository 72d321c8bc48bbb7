-- Settled rows by what guarded them just before their write: a read, or a before-image that was young enough.
ALTER TABLE batches ADD COLUMN guarded_by_read bigint NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN guarded_by_age bigint NOT NULL DEFAULT 0;
ALTER TABLE run_progress ADD COLUMN guarded_by_read bigint NOT NULL DEFAULT 0;
ALTER TABLE run_progress ADD COLUMN guarded_by_age bigint NOT NULL DEFAULT 0;
