//! Who may use the server, over the real router.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

mod accounts {
    mod client;
    mod front;
    mod keys;
    mod lock_out;
    mod people;
    mod sessions;
    mod walk;
}
