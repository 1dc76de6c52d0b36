-- What the collections of this installation begin with where several share a vector store.
CREATE TABLE installation (id TEXT NOT NULL);
INSERT INTO installation VALUES (lower(hex(randomblob(6))));
