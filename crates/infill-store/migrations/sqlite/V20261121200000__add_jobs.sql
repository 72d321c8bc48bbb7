-- What the CRM carries out for a batch by itself; there is none for a batch whose writes are answered at once.
ALTER TABLE batches ADD COLUMN job TEXT;
