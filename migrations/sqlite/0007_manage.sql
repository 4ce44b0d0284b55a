-- A conversation that was deleted can be had back for an hour.
ALTER TABLE conversations ADD COLUMN pinned_at BIGINT;
ALTER TABLE conversations ADD COLUMN deleted_at BIGINT;
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;
