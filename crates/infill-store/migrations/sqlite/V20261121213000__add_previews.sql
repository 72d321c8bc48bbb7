-- A dry run ends when every row is evaluated. What let a previewed or waiting run go on is kept with it.
ALTER TABLE runs ADD COLUMN is_dry INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN released TEXT;

ALTER TABLE run_progress ADD COLUMN batches_previewed INTEGER NOT NULL DEFAULT 0 CHECK (batches_previewed >= 0);
ALTER TABLE run_progress ADD COLUMN intended INTEGER NOT NULL DEFAULT 0 CHECK (intended >= 0);
ALTER TABLE run_progress ADD COLUMN refused INTEGER NOT NULL DEFAULT 0 CHECK (refused >= 0);

ALTER TABLE batches ADD COLUMN intended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
