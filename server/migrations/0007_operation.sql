-- What an API key may use: runs at once; tokens and millionths of a US dollar a day. NULL is no limit of its own.
ALTER TABLE api_keys ADD COLUMN runs INTEGER;
ALTER TABLE api_keys ADD COLUMN tokens INTEGER;
ALTER TABLE api_keys ADD COLUMN cost INTEGER;
