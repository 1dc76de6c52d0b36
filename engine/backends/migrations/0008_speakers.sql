-- Whose a conversation is: a user of a space. NULL is nobody's in particular.
ALTER TABLE conversations ADD COLUMN space TEXT;
ALTER TABLE conversations ADD COLUMN user TEXT;
CREATE INDEX conversations_by_user ON conversations (space, user, updated_at) WHERE head IS NOT NULL;
-- What a person thinks of the answer: 1 is up, -1 is down.
ALTER TABLE turns ADD COLUMN rating INTEGER;
CREATE INDEX runs_conversation ON runs (conversation) WHERE conversation IS NOT NULL;
