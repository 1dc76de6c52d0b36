//! What an Ollama has to offer: asked once, and not waited for long.

use std::sync::Arc;

use futures::{StreamExt as _, future::join_all};
use liteagent_engine::{
    capability::{Http, HttpBody, HttpCall},
    time::Clock,
};
use serde_json::{Value as Json, json};
use url::Url;

use crate::{catalog::Facts, settings::Provider};

/// How long all questions together may take.
const PATIENCE: i64 = 500;
/// Of so many models more is asked than their names.
const MOST: usize = 32;
const MOST_BYTES: usize = 4 << 20;

/// The models of an Ollama, the newest first; none when nobody answers.
pub(crate) async fn models(http: &Arc<dyn Http>, clock: &Arc<dyn Clock>, provider: &Provider) -> Vec<(String, Facts)> {
    let all = async {
        let tags = ask(http, &provider.base_url, "GET", "/api/tags", HttpBody::Empty).await?;
        let names = tags["models"].as_array()?.iter().filter_map(|model| model["name"].as_str());
        let about = names.take(MOST).map(|name| async move {
            let body = HttpBody::Bytes(json!({ "model": name }).to_string().into());
            let shown = ask(http, &provider.base_url, "POST", "/api/show", body).await.unwrap_or_default();
            (name.to_owned(), facts(&shown))
        });
        Some(join_all(about).await)
    };
    tokio::select! {
        biased;
        all = all => all.unwrap_or_default(),
        () = clock.sleep_until(clock.now() + PATIENCE) => Vec::new(),
    }
}

/// What `/api/show` tells of a model; older versions do not tell what it can.
fn facts(shown: &Json) -> Facts {
    let can = shown["capabilities"].as_array();
    let can = |what: &str| can.map(|all| all.iter().any(|one| one == what));
    let context = shown["model_info"].as_object().and_then(|info| {
        info.iter().find(|(name, _)| name.ends_with(".context_length")).and_then(|(_, length)| length.as_u64())
    });
    Facts {
        embeds: can("embedding").filter(|embeds| *embeds),
        tools: can("tools"),
        images: can("vision"),
        context,
        ..Facts::default()
    }
}

async fn ask(http: &Arc<dyn Http>, base: &Url, method: &str, path: &str, body: HttpBody) -> Option<Json> {
    let url = base.join(path).ok()?.to_string();
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let call = HttpCall { method: method.to_owned(), url, headers, body, redirects: 0, timeout: None };
    let mut reply = http.send(call).await.ok().filter(|reply| reply.status == 200)?;
    let mut whole = Vec::new();
    while let Some(piece) = reply.body.next().await {
        whole.extend_from_slice(&piece.ok()?);
        if whole.len() > MOST_BYTES {
            return None;
        }
    }
    serde_json::from_slice(&whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_can_is_read_where_it_is_told() {
        let told =
            facts(&json!({ "capabilities": ["completion", "tools"], "model_info": { "qwen3.context_length": 40960 } }));
        assert_eq!((told.tools, told.images, told.embeds, told.context), (Some(true), Some(false), None, Some(40_960)));
        let embeds = facts(&json!({ "capabilities": ["embedding"] }));
        assert_eq!((embeds.embeds, embeds.tools), (Some(true), Some(false)));
        let silent = facts(&json!({}));
        assert_eq!((silent.tools, silent.images, silent.context), (None, None, None));
    }
}
