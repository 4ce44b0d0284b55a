-- What an assistant did on the way to a reply, as JSON; empty where it did nothing.
ALTER TABLE messages ADD COLUMN steps TEXT NOT NULL DEFAULT '';

-- The message that proposes a change; empty for what people want by themselves. One that is proposed
-- is a draft until they say yes.
ALTER TABLE changes ADD COLUMN message TEXT NOT NULL DEFAULT '';
