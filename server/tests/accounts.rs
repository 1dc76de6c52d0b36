//! Who may use the server, over the real router.

#![allow(clippy::tests_outside_test_module, reason = "integration tests are test modules")]

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
