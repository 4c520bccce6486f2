-- A fetch has an identity, so that a batch whose commit was not heard of can be written again.
-- NULL for what was stored before there was one.
ALTER TABLE provider_fetch ADD COLUMN fetch_id BLOB;

CREATE UNIQUE INDEX provider_fetch_by_identity ON provider_fetch (fetch_id);
