-- What people add to their messages. The bytes lie in `files/` of the data directory, under the id.
CREATE TABLE files (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    message_id TEXT REFERENCES messages (id) ON DELETE CASCADE,   -- none until it is sent
    place      BIGINT NOT NULL DEFAULT 0,    -- among those of its message
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,                -- what it is, by its first bytes
    size       BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX files_by_message ON files (message_id, place);
CREATE INDEX files_by_owner ON files (owner);
CREATE INDEX files_unsent ON files (created_at) WHERE message_id IS NULL;
