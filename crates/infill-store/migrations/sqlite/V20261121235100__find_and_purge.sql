-- A record is found by the smallest and the largest id of each batch, in the order of their bytes.
ALTER TABLE batches ADD COLUMN first_record TEXT NOT NULL DEFAULT '';
ALTER TABLE batches ADD COLUMN last_record TEXT NOT NULL DEFAULT '';
CREATE INDEX batches_by_record ON batches (run_id, last_record, first_record);
CREATE INDEX runs_by_connection ON runs (connection, id);

-- When the values of a run were taken away. It and its counts stay.
ALTER TABLE runs ADD COLUMN purged_at INTEGER;
