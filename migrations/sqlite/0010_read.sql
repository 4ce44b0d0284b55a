-- What a person thinks of a reply, and why.
ALTER TABLE messages ADD COLUMN rating BIGINT;              -- 1 good, -1 bad
ALTER TABLE messages ADD COLUMN rating_note TEXT;

-- A conversation is unread when its last reply came after it was last looked at.
ALTER TABLE conversations ADD COLUMN replied_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN read_at BIGINT NOT NULL DEFAULT 0;
