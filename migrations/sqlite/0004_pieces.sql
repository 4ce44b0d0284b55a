-- How many pieces of a long reply its channel has taken already.
ALTER TABLE deliveries ADD COLUMN pieces BIGINT NOT NULL DEFAULT 0;
