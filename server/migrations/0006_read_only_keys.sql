-- Whether an API key only looks: it starts and changes nothing.
ALTER TABLE api_keys ADD COLUMN read_only INTEGER NOT NULL DEFAULT 0;
