-- Changes of many records that are wanted, watched and taken back together.
CREATE TABLE batches (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    tenant     TEXT NOT NULL,                -- empty for none
    resource   TEXT NOT NULL,                -- `<group>.<name>`
    action     TEXT NOT NULL,                -- as that of its changes; import where they differ
    notes      TEXT NOT NULL DEFAULT '[]',   -- what to know before it begins, as JSON
    is_seen    BIGINT NOT NULL DEFAULT 0,    -- whether the person has closed its report
    created_at BIGINT NOT NULL
);
CREATE INDEX batches_by_owner ON batches (owner, tenant, is_seen);

ALTER TABLE changes ADD COLUMN batch TEXT NOT NULL DEFAULT '';     -- empty for one by itself
ALTER TABLE changes ADD COLUMN place BIGINT NOT NULL DEFAULT 0;    -- within its batch: the line of a file
CREATE INDEX changes_of_batch ON changes (batch, place) WHERE batch <> '';
