-- Conversations by the names that clients have for them, such as a channel and a place in it.
CREATE TABLE conversation_names (
    owner           TEXT NOT NULL,
    name            TEXT NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    PRIMARY KEY (owner, name)
);
CREATE INDEX conversation_names_by_conversation ON conversation_names (conversation_id);
