//! Who may use the installation, in PostgreSQL: one table family per file.

mod audit;
mod keys;
mod sessions;
mod users;

pub(super) use self::audit::record;
