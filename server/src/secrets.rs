//! The vault: secrets that people give the installation, sealed with `SECRET_KEY`.

pub(crate) use self::api::routes;
pub use self::{
    key::{SecretKey, SecretKeys},
    vault::{SecretChange, SecretInfo, Set, Vault, VaultError},
};

mod api;
mod key;
mod seal;
mod vault;
