-- Links under which others can read a conversation, as far as it went when it was shared.
CREATE TABLE shares (
    id              TEXT PRIMARY KEY,        -- random, and the last part of the link
    conversation_id TEXT NOT NULL UNIQUE REFERENCES conversations (id) ON DELETE CASCADE,
    tip_id          TEXT NOT NULL,           -- the last message that is shown
    created_at      BIGINT NOT NULL
);
