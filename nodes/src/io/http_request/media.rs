//! What kind of content an answer has, and what its file is called.

/// A media type.
pub(super) struct Media {
    /// `text/html`, lower-case, without parameters.
    pub(super) essence: String,
    charset: Option<&'static encoding_rs::Encoding>,
}

impl Media {
    pub(super) fn of(content_type: &str) -> Self {
        let mut parts = content_type.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let is_charset = name.trim().eq_ignore_ascii_case("charset");
            is_charset.then(|| encoding_rs::Encoding::for_label(value.trim().trim_matches('"').as_bytes()))?
        });
        let essence = if essence.is_empty() { "application/octet-stream".to_owned() } else { essence };
        Self { essence, charset }
    }

    pub(super) fn is_json(&self) -> bool {
        self.essence == "application/json" || self.essence.ends_with("+json") || self.essence == "text/json"
    }

    fn is_text(&self) -> bool {
        const TEXTS: [&str; 8] = [
            "application/xml",
            "application/javascript",
            "application/ecmascript",
            "application/x-www-form-urlencoded",
            "application/yaml",
            "application/x-yaml",
            "application/toml",
            "application/graphql",
        ];
        self.is_json()
            || self.essence.starts_with("text/")
            || self.essence.ends_with("+xml")
            || self.essence.ends_with("+yaml")
            || self.essence.ends_with("ndjson")
            || self.essence.ends_with("jsonl")
            || TEXTS.contains(&self.essence.as_str())
    }

    /// The body as text, if it is text. Bytes that are wrong in its charset become U+FFFD, as in browsers.
    pub(super) fn text(&self, bytes: &[u8]) -> Option<String> {
        if self.is_text() {
            let charset = self.charset.unwrap_or(encoding_rs::UTF_8);
            return Some(charset.decode(bytes).0.into_owned());
        }
        if bytes.is_empty() {
            return Some(String::new());
        }
        // Without a type, or with the type of anything, the bytes decide.
        if self.essence != "application/octet-stream" || bytes.contains(&0) {
            return None;
        }
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }
}

/// The name of a file: from `Content-Disposition`, else the end of the path, without any folder.
pub(super) fn file_name(disposition: Option<&str>, url: &str) -> String {
    let said = disposition.and_then(|text| {
        text.split(';').find_map(|part| {
            let (name, value) = part.trim().split_once('=')?;
            name.trim().eq_ignore_ascii_case("filename").then(|| value.trim().trim_matches('"').to_owned())
        })
    });
    let from_path = || {
        let url = url::Url::parse(url).ok()?;
        let segment = url.path_segments()?.next_back()?.to_owned();
        Some(percent_encoding::percent_decode_str(&segment).decode_utf8_lossy().into_owned())
    };
    let name = said.or_else(from_path).unwrap_or_default();
    let name: String =
        name.rsplit(['/', '\\']).next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "download".to_owned() } else { name.chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_never_holds_a_folder() {
        let name = |disposition, url| file_name(disposition, url);
        assert_eq!(name(Some("attachment; filename=\"a b.pdf\""), "https://x.test/y"), "a b.pdf");
        assert_eq!(name(Some("attachment; filename=../../etc/passwd"), "https://x.test/y"), "passwd");
        assert_eq!(name(Some("inline"), "https://x.test/a/r%C3%A9sum%C3%A9.pdf?x=1"), "résumé.pdf");
        assert_eq!(name(None, "https://x.test/a/..%2f..%2f.env"), "env");
        assert_eq!(name(None, "https://x.test/"), "download");
    }

    #[test]
    fn a_body_is_text_by_its_type_or_its_bytes() {
        let text = |content_type: &str, bytes: &[u8]| Media::of(content_type).text(bytes);
        assert_eq!(text("text/plain; charset=iso-8859-1", b"caf\xe9").as_deref(), Some("café"));
        assert_eq!(text("application/problem+json", b"{}").as_deref(), Some("{}"));
        assert_eq!(text("", b"plain").as_deref(), Some("plain"));
        assert_eq!(text("", b"\xff\xfe"), None);
        assert_eq!(text("image/png", b"text"), None);
    }
}
