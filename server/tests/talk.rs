//! What is uploaded, and what stays open.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

mod talk {
    mod sockets;
    mod uploads;
}
