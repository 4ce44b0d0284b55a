-- Messages become a tree: what is asked again in other words, or answered again, stands beside what
-- was there. The branch that is shown ends at the conversation's tip. No cascade on `parent_id`: a
-- long conversation would nest it too deep to be deleted.
ALTER TABLE messages ADD COLUMN parent_id TEXT REFERENCES messages (id);
ALTER TABLE conversations ADD COLUMN tip_id TEXT;
CREATE INDEX messages_by_parent ON messages (parent_id);
CREATE INDEX messages_beside ON messages (conversation_id, parent_id, role, position);

UPDATE messages SET parent_id =
    (SELECT before.id FROM messages before
     WHERE before.conversation_id = messages.conversation_id
       AND before.position = messages.position - 1);
UPDATE conversations SET tip_id =
    (SELECT id FROM messages
     WHERE conversation_id = conversations.id ORDER BY position DESC LIMIT 1);

-- Whatever changes what a conversation shows raises its revision, and marks what changed with it.
ALTER TABLE conversations ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

-- Who answered, what was thought on the way, and what it took.
ALTER TABLE messages ADD COLUMN assistant TEXT;             -- a name of [assistants]
ALTER TABLE messages ADD COLUMN is_html BIGINT NOT NULL DEFAULT 0;  -- a backend wrote it as HTML
ALTER TABLE messages ADD COLUMN reasoning TEXT NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN reasoning_ms BIGINT;
ALTER TABLE messages ADD COLUMN input_tokens BIGINT;
ALTER TABLE messages ADD COLUMN output_tokens BIGINT;
ALTER TABLE messages ADD COLUMN finished_at BIGINT;
ALTER TABLE messages ADD COLUMN retry_at BIGINT;            -- its service wants no request before
ALTER TABLE messages ADD COLUMN status BIGINT;              -- the HTTP status it was refused with
