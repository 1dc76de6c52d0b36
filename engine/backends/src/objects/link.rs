//! The requests to an object store. Its address is the operator's, and no workflow can choose or see it, so they do not pass
//! the guard of what workflows steer. Like that one, they follow no redirect and ignore proxies of the environment.

use std::time::Duration;

use liteagent_engine::store::{ObjectsFault, StoreError};
use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::AmazonS3,
    client::{HttpClient, HttpConnector},
};

use super::{ObjectOptions, failure, failure::wrong};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may let one wait, and then each further piece of it. A part of an upload must be sent within.
const SILENCE: Duration = Duration::from_mins(1);
/// So often a request is repeated that may be.
const RETRIES: usize = 4;
/// After that time it is not repeated any more.
const PATIENCE: Duration = Duration::from_mins(1);

/// A bucket, and how it is reached.
pub(super) struct Link {
    /// Repeats requests.
    pub(super) store: AmazonS3,
    /// Does not, for those who ask how it stands.
    pub(super) once: AmazonS3,
    /// Where it is, for messages.
    pub(super) place: String,
    has_credentials: bool,
}

impl Link {
    pub(super) fn open(options: &ObjectOptions) -> Result<Self, StoreError> {
        let place = options.to_string();
        let failed = |error: String| wrong(ObjectsFault::Address, format!("{place}: {error}"));
        let client = client().map_err(|error| failed(error.to_string()))?;
        let build = |max_retries| {
            let backoff = BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            };
            let retries = RetryConfig { backoff, max_retries, retry_timeout: PATIENCE };
            let builder = options.builder().with_retry(retries).with_http_connector(Direct(client.clone()));
            // Not every store can delete many at once.
            builder.with_disable_bulk_delete(true).build().map_err(|error| failed(error.to_string()))
        };
        let (store, once) = (build(RETRIES)?, build(0)?);
        Ok(Self { store, once, has_credentials: options.has_credentials(), place })
    }

    pub(super) fn failed(&self, error: &object_store::Error) -> StoreError {
        failure::of(error, &self.place, self.has_credentials)
    }
}

#[expect(clippy::disallowed_methods, reason = "the object store is the operator's: no workflow chooses its address")]
fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .http1_only()
        // The length of what comes is that of the object.
        .no_gzip()
        .user_agent(concat!("liteagent/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Gives everybody the one client.
#[derive(Debug)]
struct Direct(reqwest::Client);

impl HttpConnector for Direct {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}
