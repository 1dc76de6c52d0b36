-- The catalog: what is known of bases and documents. Names and ids are ordered by their bytes, whatever the language of the
-- database. Whoever changes documents locks their base first.
CREATE TABLE knowledge_bases (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text COLLATE "C" NOT NULL UNIQUE,
    model           text NOT NULL,
    dimensions      bigint NOT NULL,
    language        text NOT NULL,
    collection      text NOT NULL,
    next_collection text,
    next_model      text,
    next_dimensions bigint,
    counter         bigint NOT NULL DEFAULT 0,
    documents       bigint NOT NULL DEFAULT 0,
    chunks          bigint NOT NULL DEFAULT 0,
    created_at      bigint NOT NULL
);
CREATE TABLE knowledge_documents (
    base       bigint NOT NULL,
    id         text COLLATE "C" NOT NULL,
    title      text NOT NULL,
    url        text,
    hash       text NOT NULL,
    status     text NOT NULL,
    error      text,
    enabled    boolean NOT NULL,
    metadata   text NOT NULL,
    chunks     bigint NOT NULL,
    tokens     bigint NOT NULL,
    updated_at bigint NOT NULL,
    revision   bigint NOT NULL,
    settings   bigint NOT NULL,
    changed    bigint NOT NULL,
    built      bigint NOT NULL,
    PRIMARY KEY (base, id)
);
CREATE FUNCTION knowledge_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE knowledge_bases SET
        documents = documents + CASE TG_OP WHEN 'INSERT' THEN 1 WHEN 'DELETE' THEN -1 ELSE 0 END,
        chunks = chunks + coalesce(NEW.chunks, 0) - coalesce(OLD.chunks, 0)
    WHERE id = coalesce(NEW.base, OLD.base);
    RETURN NULL;
END
$$;
CREATE TRIGGER knowledge_documents_come AFTER INSERT OR DELETE ON knowledge_documents
    FOR EACH ROW EXECUTE FUNCTION knowledge_count();
CREATE TRIGGER knowledge_documents_change AFTER UPDATE OF chunks ON knowledge_documents
    FOR EACH ROW WHEN (NEW.chunks <> OLD.chunks) EXECUTE FUNCTION knowledge_count();
-- Collections that no base has any more, and that may still be in the vector store.
CREATE TABLE knowledge_leftovers (collection text PRIMARY KEY);
-- What the collections of this installation begin with where several share a vector store.
CREATE TABLE knowledge_installation (id text NOT NULL);
INSERT INTO knowledge_installation VALUES (left(replace(gen_random_uuid()::text, '-', ''), 12));
