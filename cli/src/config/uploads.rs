//! `[uploads]` of `liteagent.toml`.

use liteagent_engine::{codes, units::Size};
use liteagent_server::Uploads;
use serde::Deserialize;

use super::FILE;
use crate::failure::Failure;

/// `[uploads]`: what may be uploaded to the server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UploadsConfig {
    /// The size of a file; 100MiB.
    max_size: Option<Size>,
    /// How many files a request may have; 20.
    max_files: Option<usize>,
    /// Media types that are not taken: `application/zip`, `video/*`.
    refuse: Vec<String>,
}

impl UploadsConfig {
    /// The limits: what is not said here is as usual.
    pub(crate) fn uploads(&self) -> Result<Uploads, Failure> {
        let usual = Uploads::default();
        let uploads = Uploads {
            size: self.max_size.unwrap_or(usual.size),
            count: self.max_files.unwrap_or(usual.count),
            refuse: self.refuse.iter().map(|mime| mime.to_ascii_lowercase()).collect(),
            room: usual.room,
        };
        let is_type =
            |mime: &str| mime.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty());
        let wrong = if uploads.size.0 == 0 || uploads.count == 0 {
            "`max_size` and `max_files` are at least 1".to_owned()
        } else if let Some(wrong) = self.refuse.iter().find(|mime| !is_type(mime)) {
            format!("`refuse`: expected a media type such as `application/zip` or `video/*`, found `{wrong}`")
        } else {
            return Ok(uploads);
        };
        Err(Failure::usage(codes::CONFIG, format!("`[uploads]` of `{FILE}`: {wrong}"))
            .hint("run `liteagent explain LA3004` to see every key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_checked() {
        let read = |text: &str| toml::from_str::<UploadsConfig>(text).unwrap().uploads().map_err(|wrong| wrong.message);
        let usual = read("").unwrap();
        assert_eq!((usual.size, usual.count, usual.refuse.len()), (Size(100 << 20), 20, 0));
        let own = read("max_size = \"1MiB\"\nmax_files = 2\nrefuse = [\"Video/*\"]").unwrap();
        assert_eq!((own.size, own.count, &*own.refuse), (Size(1 << 20), 2, &["video/*".to_owned()][..]));
        for wrong in ["max_files = 0", "refuse = [\"exe\"]", "refuse = [\"/\"]"] {
            assert!(read(wrong).unwrap_err().starts_with("`[uploads]` of `liteagent.toml`"), "{wrong}");
        }
    }
}
