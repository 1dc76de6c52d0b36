//! Language models: what `liteagent.toml` and the environment make of them.

use std::sync::Arc;

use liteagent_engine::{
    bundle::Bundle,
    capability::{Secrets, model::Models},
    codes,
    node::{NodeSpec, Registry},
    time::SystemClock,
};
use liteagent_local_models::{
    LocalConfig, LocalModels,
    weights::{self, Model},
};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use liteagent_providers::{Company, Deployment, Router, resolve};
use serde_json::Value as Json;

use super::{Config, FILE, setting};
use crate::failure::Failure;

impl Config {
    /// The models of this installation. Nobody is called, unless nothing but an Ollama can stand for an alias.
    pub(crate) async fn router(&self, secrets: &Arc<Secrets>) -> Result<Arc<Router>, Failure> {
        self.router_among(secrets, Company::default()).await
    }

    /// The same, where others watch, or call the same providers.
    pub(crate) async fn router_among(&self, secrets: &Arc<Secrets>, company: Company) -> Result<Arc<Router>, Failure> {
        let deployment = self.deployment(secrets)?;
        // Addresses that are configured here are allowed for calls of models, and for nothing else.
        let policy = EgressPolicy::parse(deployment.endpoints())
            .map_err(|error| Failure::usage(codes::CONFIG, format!("`providers` of `{FILE}`: {error}")))?;
        let http = Egress::new(policy).without_limit_of_silence();
        let http = match &company.watcher {
            Some(watcher) => http.watched(watcher.clone(), "models"),
            None => http,
        };
        let local: Arc<dyn Models> = Arc::new(LocalModels::new(LocalConfig::new(weights::folder())));
        let plugged = [(liteagent_local_models::PROVIDER.to_owned(), local)];
        Ok(Arc::new(Router::open_among(deployment, Arc::new(http), Arc::new(SystemClock), plugged, company).await))
    }

    fn deployment(&self, secrets: &Arc<Secrets>) -> Result<Deployment, Failure> {
        resolve(&self.providers, &self.models, secrets, &setting).map_err(|error| {
            let is_variable = error.place.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
            let place =
                if is_variable { format!("`{}`", error.place) } else { format!("`{}` of `{FILE}`", error.place) };
            Failure::usage(codes::CONFIG, format!("{place}: {}", error.message))
                .hint("run `liteagent explain LA3004` to see every key")
        })
    }
}

/// What fetches the weights of local models.
pub(crate) const PULL: &str = "liteagent models pull";

/// The local model of this name, when its weights are not there.
pub(crate) fn without_weights(name: &str) -> Option<&'static Model> {
    let model = weights::MODELS.into_iter().find(|model| model.full_name() == name)?;
    (!model.is_in(&weights::folder())).then_some(model)
}

/// One line for people: which model is in use, whether it can be, and how to get a better one.
pub(crate) fn notice(models: &Router) -> String {
    let notice = models.notice();
    match models.describe("default").ok().and_then(|info| without_weights(&info.name)) {
        Some(model) => {
            format!("{notice}. Its weights are not here yet: `{PULL}` fetches {} MB once", model.download / 1_000_000)
        }
        None => notice,
    }
}

/// Whether nodes of a bundle ask a model that an alias or nobody names: which one that is decides this installation.
pub(crate) fn asks_default(bundle: &Bundle, registry: &Registry) -> bool {
    // One whose composites cannot be made here is told of when it is run.
    let Ok(registry) = bundle.node_types(registry) else { return false };
    let Ok(bundle) = serde_json::to_value(bundle) else { return false };
    let workflows = bundle["workflows"].as_object().into_iter().flatten();
    workflows.into_iter().any(|(_, workflow)| {
        let usual = workflow.pointer("/defaults/model").unwrap_or(&Json::Null);
        ["nodes", "on_failure", "finally"].iter().any(|part| asks(&workflow[part], usual, &registry))
    })
}

fn asks(nodes: &Json, usual: &Json, registry: &Registry) -> bool {
    let is_open = |model: &Json| match model {
        Json::Null => true,
        Json::String(name) => !name.contains('/'),
        other => other[0].as_str().is_some_and(|name| !name.contains('/')),
    };
    let calls = |kind: &str| registry.get(kind).is_some_and(NodeSpec::asks_models);
    nodes.as_object().into_iter().flatten().any(|(_, node)| {
        let model = node.get("model").unwrap_or(usual);
        calls(node["type"].as_str().unwrap_or_default()) && is_open(model) || asks(&node["nodes"], usual, registry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_workflows_that_leave_the_model_open_ask_for_the_default() {
        let asks = |text: &str| {
            let text =
                format!(r#"{{"format":1,"entry":"w","workflows":{{"w":{{"name":"w",{text},"outputs":{{}}}}}}}}"#);
            asks_default(&Bundle::parse(&text).unwrap(), &liteagent_nodes::registry())
        };
        let llm = |model: &str| format!(r#"{{"type":"llm",{model}"messages":[{{"user":"Hi"}}]}}"#);
        assert!(asks(&format!(r#""nodes":{{"a":{}}}"#, llm(""))));
        assert!(asks(&format!(r#""nodes":{{"a":{}}}"#, llm(r#""model":["fast","openai/x"],"#))));
        assert!(!asks(&format!(r#""nodes":{{"a":{}}}"#, llm(r#""model":"openai/x","#))));
        assert!(!asks(&format!(r#""defaults":{{"model":"openai/x"}},"nodes":{{"a":{}}}"#, llm(""))));
        assert!(!asks(r#""nodes":{"a":{"type":"answer","text":"Hi"}}"#));
        let inner = format!(
            r#""nodes":{{"each":{{"type":"iteration","items":"{{{{ inputs.x }}}}","nodes":{{"a":{}}},"output":"x"}}}}"#,
            llm("")
        );
        assert!(asks(&inner));
    }
}
