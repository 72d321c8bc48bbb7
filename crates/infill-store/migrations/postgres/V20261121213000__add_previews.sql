-- A dry run ends when every row is evaluated. What let a previewed or waiting run go on is kept with it.
ALTER TABLE runs ADD COLUMN is_dry boolean NOT NULL DEFAULT false;
ALTER TABLE runs ADD COLUMN released text;

ALTER TABLE run_progress ADD COLUMN batches_previewed bigint NOT NULL DEFAULT 0 CHECK (batches_previewed >= 0);
ALTER TABLE run_progress ADD COLUMN intended bigint NOT NULL DEFAULT 0 CHECK (intended >= 0);
ALTER TABLE run_progress ADD COLUMN refused bigint NOT NULL DEFAULT 0 CHECK (refused >= 0);

ALTER TABLE batches ADD COLUMN intended bigint NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN refused bigint NOT NULL DEFAULT 0;
