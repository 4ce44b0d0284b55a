-- What people look for: the title of every conversation and the text of every message, once. Rows of
-- others are told apart within the index, by a token that the owner's name is written as.
CREATE TABLE search_rows (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    who             TEXT NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    message_id      TEXT,                    -- none for the title
    body            TEXT NOT NULL
);
CREATE INDEX search_rows_by_message ON search_rows (conversation_id, message_id);
CREATE VIRTUAL TABLE search USING fts5 (
    who, body, content = 'search_rows', content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
CREATE TRIGGER search_row_added AFTER INSERT ON search_rows BEGIN
    INSERT INTO search (rowid, who, body) VALUES (new.id, new.who, new.body);
END;
CREATE TRIGGER search_row_removed AFTER DELETE ON search_rows BEGIN
    INSERT INTO search (search, rowid, who, body) VALUES ('delete', old.id, old.who, old.body);
END;
CREATE TRIGGER search_row_changed AFTER UPDATE OF body ON search_rows BEGIN
    INSERT INTO search (search, rowid, who, body) VALUES ('delete', old.id, old.who, old.body);
    INSERT INTO search (rowid, who, body) VALUES (new.id, new.who, new.body);
END;

-- A temporary conversation is in no list and in no index, and goes at this time.
ALTER TABLE conversations ADD COLUMN expires_at BIGINT;
CREATE INDEX conversations_expiring ON conversations (expires_at) WHERE expires_at IS NOT NULL;

-- Who wrote the title: the first message, the assistant, or a person, who has the last word.
ALTER TABLE conversations ADD COLUMN title_by TEXT NOT NULL DEFAULT 'text';

CREATE TRIGGER conversation_entitled AFTER INSERT ON conversations WHEN new.expires_at IS NULL BEGIN
    INSERT INTO search_rows (who, conversation_id, body)
    VALUES ('o' || lower(hex(new.owner)), new.id, new.title);
END;
CREATE TRIGGER conversation_renamed AFTER UPDATE OF title ON conversations BEGIN
    UPDATE search_rows SET body = new.title WHERE conversation_id = new.id AND message_id IS NULL;
END;
INSERT INTO search_rows (who, conversation_id, body)
    SELECT 'o' || lower(hex(owner)), id, title FROM conversations;

-- Messages are added to the index after their run, not by the commits that readers wait for.
ALTER TABLE messages ADD COLUMN indexed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX messages_to_index ON messages (id) WHERE indexed = 0 AND state <> 'running';
