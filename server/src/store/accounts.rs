//! Who may use the installation, and what they did.

pub use self::{
    audit::{AuditFilter, AuditRow, AuditStore, Entry, Outcome},
    keys::{KeyLimits, KeyRow, KeyScope, KeyStore},
    sessions::{Counted, FORGOTTEN, NewSession, Rotated, SessionStore, pause},
    users::{Changed, LinkFor, NewLink, NewUser, UserChange, UserRow, UserStore},
};

mod audit;
mod keys;
mod sessions;
mod users;

/// The SHA-256 of a token, a key or a link: what is stored of it.
pub type TokenHash = [u8; 32];

/// Everything about who may use the installation.
///
/// # Contract
/// * A change and its entry in the audit log are durable together.
/// * What was refused changed nothing, and has no entry.
pub trait AccountStore: UserStore + SessionStore + KeyStore + AuditStore {}

impl<T: UserStore + SessionStore + KeyStore + AuditStore> AccountStore for T {}
