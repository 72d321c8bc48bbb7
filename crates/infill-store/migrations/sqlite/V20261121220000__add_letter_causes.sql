-- Copies of what letters are grouped and searched by. Letters of before are grouped by their code.
ALTER TABLE letters ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE letters ADD COLUMN property TEXT;
ALTER TABLE letters ADD COLUMN message TEXT NOT NULL DEFAULT '';
UPDATE letters SET cause = code, message = code;
CREATE INDEX letters_by_cause ON letters (status, cause);
CREATE INDEX letters_by_record ON letters (record);

-- What happened to a letter. One that was tried again in another run names it.
CREATE TABLE letter_events (
    id        INTEGER PRIMARY KEY,
    letter_id INTEGER NOT NULL REFERENCES letters ON DELETE CASCADE,
    at        INTEGER NOT NULL,
    into_run  TEXT,
    event     TEXT NOT NULL
) STRICT;
CREATE INDEX letter_events_by_letter ON letter_events (letter_id, id);
