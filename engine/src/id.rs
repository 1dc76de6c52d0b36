//! Identifiers: of runs, sessions, jobs and bundles.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::units::Millis;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A run: prints as `run_` and 26 letters and digits that sort by time of creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub Uuid);

impl RunId {
    /// A fresh id.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes run ids")]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of a child run: the same parent, address and attempt always give the same child.
    pub fn child(parent: Self, address: &str, attempt: u32) -> Self {
        Self(Uuid::new_v5(&parent.0, format!("{address}#{attempt}").as_bytes()))
    }

    /// The id of the run of a schedule's firing: whoever fires it, and as often, there is one run. `schedule` is
    /// `workflow/trigger`, `at` when it is due.
    pub fn of_firing(schedule: &str, at: Millis) -> Self {
        const SCHEDULES: Uuid = Uuid::from_u128(0x6d1f_2a9c_5c0e_4f4b_9a53_0d7e_b1c4_7781);
        Self(Uuid::new_v5(&SCHEDULES, format!("{schedule}@{at}").as_bytes()))
    }

    /// The id of the run that a trigger starts after another run has ended: one, as often as that is seen. `trigger` is
    /// `workflow/trigger`.
    pub fn after(ended: Self, trigger: &str) -> Self {
        Self(Uuid::new_v5(&ended.0, format!("after {trigger}").as_bytes()))
    }

    /// The id of the run that does a node of another run again when many runs are restarted: one, as often as that is asked.
    pub fn restarted(run: Self, node: &str) -> Self {
        Self(Uuid::new_v5(&run.0, format!("restart {node}").as_bytes()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.as_u128();
        let text: String = (0..26).rev().map(|i| ALPHABET[(bits >> (5 * i)) as usize & 31] as char).collect();
        write!(f, "run_{text}")
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a run id such as `{}`, found `{text}`", Self(Uuid::nil()));
        let letters = text.strip_prefix("run_").filter(|letters| letters.len() == 26).ok_or_else(wrong)?;
        let mut bits = 0_u128;
        for (i, letter) in letters.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|known| *known == letter).ok_or_else(wrong)?;
            if i == 0 && digit > 7 {
                return Err(wrong());
            }
            bits = bits << 5 | digit as u128;
        }
        Ok(Self(Uuid::from_u128(bits)))
    }
}

/// The SHA-256 of a bundle or a blob, in hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(&Sha256::digest(bytes))
    }

    /// The digest of a finished hash.
    pub fn from_hash(hash: &[u8]) -> Self {
        use fmt::Write as _;
        Self(hash.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        fits.then(|| Self(text.to_owned())).ok_or_else(|| format!("expected 64 hexadecimal digits, found `{text}`"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One life of one process; two never share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub Uuid);

impl SessionId {
    /// A fresh id.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes session ids")]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| format!("not a session id: {error}"))
    }
}

/// One dispatch of an attempt of a node; a later one of the same attempt is another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A fresh id.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes ids of jobs")]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl FromStr for JobId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| format!("not an id of a job: {error}"))
    }
}

macro_rules! as_text {
    ($($type:ident),+) => { $(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    )+ };
}
as_text!(RunId, Digest, SessionId, JobId);

macro_rules! serde_as_text {
    ($($type:ident),+) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.collect_str(self) }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )+ };
}
serde_as_text!(RunId, SessionId, JobId);

macro_rules! schema_as_text {
    ($($type:ident),+) => { $(
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($type).into() }
            fn inline_schema() -> bool { true }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }
    )+ };
}
schema_as_text!(RunId, Digest, SessionId, JobId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_read_back_and_sort_by_time() {
        let (first, second) = (RunId(Uuid::from_u128(1 << 100)), RunId(Uuid::from_u128(u128::MAX)));
        for id in [first, second, RunId(Uuid::nil())] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!(first.to_string() < second.to_string());
        assert!("run_z0000000000000000000000000".parse::<RunId>().is_err());
        assert_eq!(RunId::child(first, "a", 1), RunId::child(first, "a", 1));
        assert_ne!(RunId::child(first, "a", 1), RunId::child(first, "a", 2));
    }
}
