-- Which service was given a file apart from a question, and what it said of it, as JSON.
ALTER TABLE files ADD COLUMN given_to TEXT;
ALTER TABLE files ADD COLUMN given_as TEXT;
