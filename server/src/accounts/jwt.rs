//! Access tokens: what a user shows with each request.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use liteagent_engine::units::Millis;
use serde::{Deserialize, Serialize};

use super::{Refused, secrets};
use crate::{access::Role, store::UserRow};

/// How long a token is good, in seconds.
pub(super) const LIFE: i64 = 15 * 60;
/// By how many seconds the clocks of two servers may differ.
const LEEWAY: i64 = 5;
const ISSUER: &str = "liteagent";
const AUDIENCE: &str = "liteagent-api";

/// What access tokens are signed with: `JWT_SECRET`.
#[derive(Clone)]
pub struct JwtSecret(String);

impl JwtSecret {
    /// Takes a secret.
    ///
    /// # Errors
    /// When it could be guessed.
    pub fn new(secret: &str) -> Result<Self, Refused> {
        secrets::check_strength("JWT_SECRET", secret)?;
        Ok(Self(secret.to_owned()))
    }

    /// A text for a new secret: 256 random bits.
    pub fn generate() -> String {
        secrets::random("jwt-")
    }

    /// A new secret, which ends with the process, and every token with it.
    pub fn random() -> Self {
        Self(Self::generate())
    }
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(..)")
    }
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    /// The user.
    sub: String,
    /// The session.
    pub(super) sid: String,
    /// What the user could do when the token was made; what the user may do stands in the store.
    role: Role,
    iat: i64,
    exp: i64,
}

impl Claims {
    /// When the token is refused.
    pub(super) fn ends(&self) -> Millis {
        (self.exp.saturating_add(LEEWAY)).saturating_mul(1_000)
    }
}

/// Signs and reads tokens, with HMAC-SHA-256 and nothing else.
pub(super) struct Tokens {
    sign: EncodingKey,
    read: DecodingKey,
    validation: Validation,
}

impl Tokens {
    pub(super) fn new(JwtSecret(secret): &JwtSecret) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        // The library would ask the clock of the machine: `read` asks ours.
        validation.validate_exp = false;
        let secret = secret.as_bytes();
        Self { sign: EncodingKey::from_secret(secret), read: DecodingKey::from_secret(secret), validation }
    }

    /// A token for a session.
    pub(super) fn issue(&self, user: &UserRow, session: &str, now: Millis) -> String {
        let now = now / 1_000;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.id.clone(),
            sid: session.to_owned(),
            role: user.role,
            iat: now,
            exp: now + LIFE,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
            .expect("the key is one of HMAC, and claims are JSON")
    }

    /// What a token says; why it is refused.
    pub(super) fn read(&self, token: &str, now: Millis) -> Result<Claims, &'static str> {
        let wrong = "the token is none of this server, or was changed";
        let claims = jsonwebtoken::decode::<Claims>(token, &self.read, &self.validation).map_err(|_| wrong)?.claims;
        if claims.ends() <= now { Err("the token has expired") } else { Ok(claims) }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use liteagent_engine::codes;

    use super::*;

    const NOW: Millis = 1_772_355_600_000;

    fn user() -> UserRow {
        UserRow {
            id: "user_1".to_owned(),
            email: "ada@example.org".to_owned(),
            role: Role::Editor,
            has_password: true,
            disabled: false,
            created_at: 0,
            signed_in_at: None,
        }
    }

    #[test]
    fn a_token_is_good_for_a_quarter_of_an_hour() {
        let tokens = Tokens::new(&JwtSecret::random());
        let token = tokens.issue(&user(), "session_1", NOW);
        assert_eq!(tokens.read(&token, NOW).unwrap().sid, "session_1");
        let end = NOW + (LIFE + LEEWAY) * 1_000;
        assert!(tokens.read(&token, end - 1).is_ok());
        assert!(tokens.read(&token, end).is_err());
        assert!(Tokens::new(&JwtSecret::random()).read(&token, NOW).is_err());
    }

    #[test]
    fn other_algorithms_audiences_and_issuers_are_refused() {
        let secret = JwtSecret::random();
        let tokens = Tokens::new(&secret);
        let claims =
            json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "u", "sid": "s", "role": "owner", "iat": 0, "exp": NOW });
        let with = |name: &str, value: serde_json::Value| {
            let mut changed = claims.clone();
            changed[name] = value;
            changed
        };
        let signed = |header: &Header, claims: &serde_json::Value| {
            jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.0.as_bytes())).unwrap()
        };
        let hs256 = Header::new(Algorithm::HS256);
        assert!(tokens.read(&signed(&hs256, &claims), NOW).is_ok());
        assert!(tokens.read(&signed(&Header::new(Algorithm::HS512), &claims), NOW).is_err());
        for (name, value) in [("iss", json!("x")), ("aud", json!("x")), ("exp", json!(null)), ("sid", json!(null))] {
            assert!(tokens.read(&signed(&hs256, &with(name, value)), NOW).is_err(), "{name}");
        }
        let part = |json: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        for alg in ["none", "None", "NONE", ""] {
            let unsigned = format!("{}.{}.", part(&json!({ "alg": alg, "typ": "JWT" })), part(&claims));
            assert!(tokens.read(&unsigned, NOW).is_err(), "{alg}");
        }
    }

    #[test]
    fn secrets_that_could_be_guessed_are_refused() {
        assert!(JwtSecret::new(&JwtSecret::generate()).is_ok());
        for weak in ["", "short", &"ab".repeat(40), "your-256-bit-secret", "changeme-changeme-changeme-changeme"] {
            assert_eq!(JwtSecret::new(weak).unwrap_err().code, codes::SERVER_SECRET, "{weak}");
        }
    }
}
