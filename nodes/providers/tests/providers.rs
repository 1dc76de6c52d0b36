//! Providers against servers that say exactly what a test wants them to say, byte by byte.

mod providers {
    mod anthropic;
    mod embeddings;
    mod failures;
    mod openai;
    mod requests;
    mod routing;
    mod traffic;
    mod world;
}
