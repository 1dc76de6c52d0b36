//! Who may use the installation.

use liteagent_engine::codes;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use axum::http::StatusCode;

use crate::{
    access::{Caller, Role, UserCaller},
    app::Settings,
    problem::Problem,
    routes::Routes,
};

/// Knows who calls.
pub(crate) struct Accounts {
    /// The SHA-256 of the development key.
    dev_key: Option<[u8; 32]>,
}

impl Accounts {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { dev_key: settings.dev_key.as_ref().map(|key| Sha256::digest(key).into()) }
    }

    /// The caller that a token or key stands for.
    #[expect(clippy::unused_async, reason = "TODO")]
    pub(crate) async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if self.dev_key.is_some_and(|key| key.ct_eq(&hash).into()) {
            return Ok(Caller::User(UserCaller {
                id: UserCaller::DEVELOPER.to_owned(),
                name: UserCaller::DEVELOPER.to_owned(),
                role: Role::Owner,
            }));
        }
        Err(Problem::new(StatusCode::UNAUTHORIZED, codes::NOT_SIGNED_IN, "the token or API key is not known here")
            .hint("sign in again, or use another key"))
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
}

/// A key that nobody can guess: 256 random bits.
pub fn random_key() -> String {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    format!("la_{}", BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}
