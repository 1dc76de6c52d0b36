//! Language models: what `liteagent.toml` and the environment make of them.

use std::sync::Arc;

use liteagent_engine::{
    bundle::Bundle,
    capability::Secrets,
    codes,
    node::{Capability, Registry},
    time::SystemClock,
};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use liteagent_providers::{Deployment, Router, resolve};

use super::{Config, FILE, setting};
use crate::failure::Failure;

impl Config {
    /// The models of this installation. Nobody is called, unless nothing but an Ollama can stand for an alias.
    pub(crate) async fn router(&self, secrets: &Secrets) -> Result<Arc<Router>, Failure> {
        let deployment = self.deployment(secrets)?;
        // Addresses that are configured here are allowed for calls of models, and for nothing else.
        let policy = EgressPolicy::parse(deployment.endpoints())
            .map_err(|error| Failure::usage(codes::CONFIG, format!("`providers` of `{FILE}`: {error}")))?;
        let http = Arc::new(Egress::new(policy).without_limit_of_silence());
        Ok(Arc::new(Router::open(deployment, http, Arc::new(SystemClock), []).await))
    }

    fn deployment(&self, secrets: &Secrets) -> Result<Deployment, Failure> {
        resolve(&self.providers, &self.models, secrets, &setting).map_err(|error| {
            let is_variable = error.place.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
            let place = if is_variable { format!("`{}`", error.place) } else { format!("`{}` of `{FILE}`", error.place) };
            Failure::usage(codes::CONFIG, format!("{place}: {}", error.message))
                .hint("run `liteagent explain LA3004` to see every key")
        })
    }
}

/// Whether a bundle has nodes that call models.
pub(crate) fn uses_models(bundle: &Bundle, registry: &Registry) -> bool {
    let calls = |kind: &str| registry.get(kind).is_some_and(|spec| spec.meta.requires.contains(&Capability::Models));
    bundle.node_types().any(calls)
}
