//! Which bucket, where, and with which key.

use std::fmt;

use liteagent_engine::store::{ObjectsFault, StoreError};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use url::Url;

use crate::objects::failure::wrong;

/// The settings of the environment that say how an object store is reached, with the names that every program of S3 uses:
/// name, default, what it is for, and whether it is a secret.
pub const OBJECT_VARIABLES: &[(&str, &str, &str, bool)] = &[
    ("AWS_ACCESS_KEY_ID", "the role of the machine", "The id of the key of the object store", false),
    ("AWS_SECRET_ACCESS_KEY", "the role of the machine", "The secret part of the key of the object store", true),
    ("AWS_SESSION_TOKEN", "none", "The token of a key that is given for a time", true),
    ("AWS_REGION", "`us-east-1`", "The region of the bucket", false),
    ("AWS_DEFAULT_REGION", "`us-east-1`", "As `AWS_REGION`, which wins", false),
    (
        "AWS_ENDPOINT_URL",
        "Amazon's of the region",
        "Where an object store is that is not Amazon's: `https://minio:9000`",
        false,
    ),
    ("AWS_ENDPOINT_URL_S3", "none", "As `AWS_ENDPOINT_URL`, and wins", false),
    ("AWS_ROLE_ARN", "none", "The role that a token in a file stands for", false),
    ("AWS_ROLE_SESSION_NAME", "`WebIdentitySession`", "What sessions of that role are called", false),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "none", "The file with that token", false),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "none", "Where a container of ECS gets its key", false),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "none", "Where a pod of EKS gets its key", false),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "none", "The file with the token for that", false),
];

/// One of these says that there are credentials.
const CREDENTIALS: [AmazonS3ConfigKey; 4] = [
    AmazonS3ConfigKey::AccessKeyId,
    AmazonS3ConfigKey::WebIdentityTokenFile,
    AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    AmazonS3ConfigKey::ContainerCredentialsFullUri,
];

/// Which bucket, where, and with which key.
#[derive(Clone)]
pub struct ObjectOptions {
    bucket: String,
    prefix: String,
    endpoint: Option<Url>,
    said: Vec<(AmazonS3ConfigKey, String)>,
    /// So many objects are listed at once. Default: 1,000, the most that S3 gives.
    pub page: usize,
}

impl ObjectOptions {
    /// Reads the address of a bucket, `s3://BUCKET` or `s3://BUCKET/PREFIX`, and the settings that say how it is reached:
    /// those of [`OBJECT_VARIABLES`] that `setting` knows.
    ///
    /// # Errors
    /// [`StoreError::Objects`] when one cannot be read.
    pub fn read(url: &str, setting: impl Fn(&str) -> Option<String>) -> Result<Self, StoreError> {
        let unread = || {
            // Whoever writes a key into the address does not find it in a log.
            let found = if url.contains('@') { "something with an `@`" } else { url };
            wrong(ObjectsFault::Address, format!("expected `s3://BUCKET` or `s3://BUCKET/PREFIX`, found `{found}`"))
        };
        let place = url.strip_prefix("s3://").ok_or_else(unread)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_plain = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '.' | '-' | '_'))
        };
        let is_bucket = (3..=63).contains(&bucket.len()) && is_plain(bucket);
        if !is_bucket || !(prefix.is_empty() || prefix.split('/').all(is_plain)) {
            return Err(unread());
        }
        let mut said = Vec::new();
        for (name, ..) in OBJECT_VARIABLES {
            if let Some(value) = setting(name) {
                let key = name.to_ascii_lowercase().parse().map_err(|_| unread())?;
                said.push((key, value));
            }
        }
        let value = |key: AmazonS3ConfigKey| said.iter().find(|(said, _)| *said == key).map(|(_, value)| &**value);
        let named = value(AmazonS3ConfigKey::S3Endpoint).or(value(AmazonS3ConfigKey::Endpoint));
        let endpoint = named.map(endpoint).transpose()?;
        let has = |key| value(key).is_some();
        if has(AmazonS3ConfigKey::AccessKeyId) != has(AmazonS3ConfigKey::SecretAccessKey) {
            return Err(wrong(
                ObjectsFault::Address,
                "expected `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, found one of them alone".to_owned(),
            ));
        }
        let prefix = if prefix.is_empty() { "blobs".to_owned() } else { prefix.to_owned() };
        Ok(Self { bucket: bucket.to_owned(), prefix, endpoint, said, page: 1_000 })
    }

    /// What the keys of objects begin with. Default: `blobs`.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether a key, or where to get one, is set. Else the machine may have a role.
    pub(super) fn has_credentials(&self) -> bool {
        self.said.iter().any(|(key, _)| CREDENTIALS.contains(key))
    }

    pub(super) fn builder(&self) -> AmazonS3Builder {
        let builder = AmazonS3Builder::new().with_bucket_name(&self.bucket);
        let builder = self.said.iter().fold(builder, |builder, (key, value)| builder.with_config(*key, value));
        // Amazon's certificates are for one label before its name; other stores need not have names for buckets.
        let is_hosted = self.endpoint.is_none() && !self.bucket.contains('.');
        builder.with_virtual_hosted_style_request(is_hosted)
    }
}

/// Where it is, without a key.
impl fmt::Display for ObjectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {}", endpoint.as_str().trim_end_matches('/')),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ObjectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectOptions({self})")
    }
}

fn endpoint(named: &str) -> Result<Url, StoreError> {
    let unread = || {
        let found = if named.contains('@') { "something with an `@`" } else { named };
        wrong(ObjectsFault::Address, format!("`AWS_ENDPOINT_URL`: expected `https://HOST:PORT`, found `{found}`"))
    };
    let url = Url::parse(named).map_err(|_| unread())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_plain { Ok(url) } else { Err(unread()) }
}

#[cfg(test)]
mod tests {
    use liteagent_engine::codes;

    use super::*;

    fn read(url: &str, settings: &[(&str, &str)]) -> Result<String, String> {
        let known =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        ObjectOptions::read(url, known).map(|options| options.to_string()).map_err(|error| {
            assert_eq!(error.code(), codes::OBJECTS_ADDRESS);
            error.to_string()
        })
    }

    #[test]
    fn an_address_names_a_bucket_and_keeps_keys_out_of_messages() {
        assert_eq!(read("s3://values", &[]).unwrap(), "s3://values/blobs");
        let at = [("AWS_ENDPOINT_URL", "http://minio:9000/"), ("AWS_REGION", "eu-central-1")];
        assert_eq!(read("s3://values/prod/a/", &at).unwrap(), "s3://values/prod/a at http://minio:9000");
        let both = [("AWS_ENDPOINT_URL", "http://minio:9000"), ("AWS_ENDPOINT_URL_S3", "https://s3.test")];
        assert_eq!(read("s3://values", &both).unwrap(), "s3://values/blobs at https://s3.test");

        for url in
            ["", "values", "https://values", "s3://", "s3://a", "s3://values//a", "s3://values/../a", "s3://va lues"]
        {
            assert!(read(url, &[]).unwrap_err().contains(&format!("found `{url}`")), "{url}");
        }
        for url in ["minio:9000", "ftp://minio", "https://minio/?a=b"] {
            assert!(read("s3://values", &[("AWS_ENDPOINT_URL", url)]).unwrap_err().contains(url), "{url}");
        }
        for (url, at) in [("s3://id:hidden@values", ""), ("s3://values", "https://id:hidden@minio")] {
            let said = read(url, &[("AWS_ENDPOINT_URL", at)]).unwrap_err();
            assert!(!said.contains("hidden"), "{said}");
        }
        let half = read("s3://values", &[("AWS_ACCESS_KEY_ID", "id")]).unwrap_err();
        assert!(half.contains("found one of them alone"), "{half}");
    }

    #[test]
    fn every_variable_means_something_to_the_object_store() {
        for (name, ..) in OBJECT_VARIABLES {
            assert!(name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().is_ok(), "{name}");
        }
    }
}
