//! Names, aliases, fallbacks and the cache.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use liteagent_engine::{
    capability::{
        Http,
        model::{
            ChatEnd, ChatEvent, ChatRequest, ChatStream, EmbedRequest, Embeddings, Finish, ModelInfo, Models, ToolUse,
            Usage,
        },
    },
    codes,
    error::NodeError,
    time::VirtualClock,
};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use liteagent_providers::Router;
use serde_json::{Value as Json, json};

use super::world::{Said, Server, World, delta, deployment, finish, question};

/// Stands in for the models of this process.
struct Local;

#[async_trait]
impl Models for Local {
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        let chats = name.contains("smollm2");
        Ok(ModelInfo {
            name: name.to_owned(),
            chats,
            tools: ToolUse::No,
            structured: true,
            images: false,
            context: Some(8192),
        })
    }
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, NodeError> {
        let end =
            ChatEnd { model: request.models.join("+"), finish: Finish::Stop, usage: Usage::default(), opaque: None };
        Ok(stream::iter([Ok(ChatEvent::Text("local".into())), Ok(ChatEvent::End(end))]).boxed())
    }
    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, NodeError> {
        Ok(Embeddings { model: request.model, vectors: vec![vec![1.0]; request.texts.len()], usage: Usage::default() })
    }
    fn list(&self) -> Vec<ModelInfo> {
        ["local/smollm2-135m-instruct", "local/all-minilm-l6-v2"].map(|name| self.describe(name).unwrap()).into()
    }
}

async fn router(toml: &str, env: &[(&str, &str)], has_local: bool) -> Router {
    let deployment = deployment(toml, env);
    let http: Arc<dyn Http> = Arc::new(Egress::new(EgressPolicy::parse(deployment.endpoints()).unwrap()));
    let local: Option<(String, Arc<dyn Models>)> = has_local.then(|| ("local".to_owned(), Arc::new(Local) as _));
    Router::open(deployment, http, Arc::new(VirtualClock::default()), local).await
}

/// What `default`, `fast` and `embed` stand for. Nobody listens where an Ollama would.
async fn aliases(toml: &str, env: &[(&str, &str)], has_local: bool) -> [String; 3] {
    let env = [env, &[("OLLAMA_HOST", "127.0.0.1:9")]].concat();
    let router = router(toml, &env, has_local).await;
    ["default", "fast", "embed"]
        .map(|alias| router.describe(alias).map_or_else(|error| error.code.0.to_owned(), |info| info.name))
}

#[tokio::test]
async fn an_alias_is_the_first_that_is_there() {
    const OPENAI: (&str, &str) = ("OPENAI_API_KEY", "k");
    const CLAUDE: (&str, &str) = ("ANTHROPIC_API_KEY", "k");
    let local = ["local/smollm2-135m-instruct", "local/smollm2-135m-instruct", "local/all-minilm-l6-v2"];
    assert_eq!(aliases("", &[], false).await, ["LA2401"; 3]);
    assert_eq!(aliases("", &[], true).await, local);
    assert_eq!(
        aliases("", &[CLAUDE], true).await,
        ["anthropic/claude-sonnet-5-5", "anthropic/claude-haiku-5-5", local[2]]
    );
    let openai = ["openai/gpt-6-sol", "openai/gpt-6-luna", "openai/text-embedding-3-small"];
    assert_eq!(aliases("", &[CLAUDE, OPENAI], true).await, openai);
    let chosen = ("LITEAGENT_MODEL", "groq/some/model");
    assert_eq!(aliases("", &[OPENAI, chosen], true).await[..2], ["groq/some/model", "groq/some/model"]);
    let toml = "[models]\ndefault = [\"smart\", \"openai/gpt-4.1\"]\nsmart = \"anthropic/claude-opus-5-5\"\nembed = \"openai/e\"";
    assert_eq!(
        aliases(toml, &[CLAUDE], true).await,
        ["anthropic/claude-opus-5-5", "anthropic/claude-haiku-5-5", "openai/e"]
    );
    assert_eq!(aliases(toml, &[chosen], true).await[0], "groq/some/model", "the environment wins");
    let moved = "[providers.openai]\nbase_url = \"http://127.0.0.1:8000/v1\"\nmodels.own = {}";
    assert_eq!(aliases(moved, &[], true).await[0], "openai/own", "models of another address have other names");
    let own =
        "[providers.work]\nbase_url = \"https://llm.test/v1\"\nmodels.big = {}\nmodels.vectors = { embeds = true }";
    assert_eq!(aliases(own, &[], true).await, ["work/big", "work/big", "work/vectors"]);
}

#[tokio::test]
async fn an_ollama_on_loopback_is_found_and_asked_what_its_models_can() {
    let mut server = Server::start().await;
    let host = server.address.to_string();
    let open = tokio::spawn(async move { router("", &[("OLLAMA_HOST", &host)], true).await });
    let call = server.next().await;
    assert_eq!((call.method.as_str(), call.path.as_str()), ("GET", "/api/tags"));
    let tags =
        json!({ "models": [{ "name": "nomic-embed-text:latest" }, { "name": "qwen3:8b" }, { "name": "gemma:2b" }] });
    call.answer(200, &[], tags.to_string()).await;
    for _ in 0..3 {
        let call = server.next().await;
        let can = match call.body["model"].as_str().unwrap() {
            "qwen3:8b" => {
                json!({ "capabilities": ["completion", "tools"], "model_info": { "qwen3.context_length": 40960 } })
            }
            "gemma:2b" => json!({ "capabilities": ["completion"] }),
            _ => json!({ "capabilities": ["embedding"] }),
        };
        call.answer(200, &[], can.to_string()).await;
    }
    let router = open.await.unwrap();
    let info = router.describe("default").unwrap();
    assert_eq!((info.name.as_str(), info.tools, info.context), ("ollama/qwen3:8b", ToolUse::Native, Some(40_960)));
    assert_eq!(router.describe("embed").unwrap().name, "ollama/nomic-embed-text:latest");
    assert_eq!(router.describe("ollama/gemma:2b").unwrap().tools, ToolUse::InWords);
    assert!(router.notice().starts_with("model: ollama/qwen3:8b (Ollama at http://127.0.0.1:"), "{}", router.notice());
    let listed = router.overview();
    let names: Vec<&str> = listed.iter().map(|listed| listed.info.name.as_str()).collect();
    assert!(names.contains(&"ollama/gemma:2b") && names.contains(&"local/all-minilm-l6-v2"), "{names:?}");
    assert_eq!(
        (listed[0].aliases.len(), listed.last().unwrap().aliases.len()),
        (1, 0),
        "what stands for an alias is first"
    );
}

#[tokio::test]
async fn an_alias_can_what_all_its_models_can() {
    let toml = "[providers.work]\nbase_url = \"https://llm.test/v1\"\nmodels.big = { context = 1000 }\nmodels.small = { tools = false, structured = \"words\", context = 100 }\n[models]\nboth = [\"work/big\", \"work/small\"]";
    let router = router(toml, &[("OLLAMA_HOST", "127.0.0.1:9")], false).await;
    let info = router.describe("both").unwrap();
    assert_eq!(
        (info.name.as_str(), info.tools, info.structured, info.images),
        ("work/big", ToolUse::InWords, false, true)
    );
    assert_eq!(info.context, Some(100));
}

#[tokio::test]
async fn names_that_lead_nowhere_are_told_with_what_would() {
    let router = router("", &[("OLLAMA_HOST", "127.0.0.1:9")], false).await;
    for (name, hint) in [
        ("gpt-4.1-mini", "did you mean `openai/gpt-4.1-mini`?"),
        ("something", "the aliases are"),
        ("nobody/model", "add `[providers.nobody]`"),
        ("local/model", "this program has none of its own"),
        ("openai/", "the aliases are"),
    ] {
        let error = router.describe(name).unwrap_err();
        assert_eq!(error.code, codes::PROVIDER_UNKNOWN, "{name}");
        assert!(error.hint.as_deref().unwrap().contains(hint), "{error:?}");
    }
    assert!(router.notice().starts_with("model: none"), "{}", router.notice());
}

#[tokio::test]
async fn the_next_model_is_asked_when_one_cannot_answer() {
    let server = Server::start().await;
    let address = server.address;
    let toml = format!(
        "[providers.x]\nbase_url = \"http://{address}/v1\"\nkey = \"KEY\"\n[providers.y]\nbase_url = \"http://{address}/y\"\n[models]\nboth = [\"x/m\", \"y/m\"]"
    );
    let mut world = World::at(server, &toml, &[]).await;
    let both = || ChatRequest { models: vec!["both".to_owned(), "x/m".to_owned()], ..question("Hi") };
    // Neither refusals nor outages are waited for while there is another.
    for (status, body) in [(429, ""), (503, ""), (401, ""), (200, "nonsense")] {
        let asked = world.ask(both());
        let call = world.server.next().await;
        assert_eq!(call.path, "/v1/chat/completions");
        call.answer(status, &[("retry-after", "60")], body).await;
        let call = world.server.next().await;
        assert_eq!(call.path, "/y/chat/completions");
        call.events([delta(json!({ "content": "Hi" })), finish("stop")]).await;
        assert_eq!(asked.await.unwrap().unwrap().end().model, "y/m");
        world.clock.advance(std::time::Duration::from_secs(61));
    }
    // When all fail, the last one's error tells of the others.
    let asked = world.ask(both());
    world.server.next().await.answer(403, &[], "").await;
    world.server.next().await.answer(404, &[], "").await;
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(error.code, codes::MODEL_UNKNOWN);
    assert!(error.message.ends_with("before it failed `x/m` (LA2404)"), "{error}");
    // After the first token nobody else is asked.
    let asked = world.ask(both());
    let mut call = world.server.next().await;
    call.stream().await;
    call.event(delta(json!({ "content": "He" }))).await;
    drop(call);
    assert_eq!(asked.await.unwrap().unwrap().error.unwrap().code, codes::PROVIDER_ANSWER);
    assert!(world.server.is_quiet());
}

#[tokio::test]
async fn models_of_this_process_are_called_by_their_names() {
    let router = router("", &[("OLLAMA_HOST", "127.0.0.1:9")], true).await;
    let said =
        Said::read(router.chat(ChatRequest { models: vec!["default".into()], ..question("Hi") }).await.unwrap()).await;
    assert_eq!((said.text.as_str(), said.end().model.as_str()), ("local", "local/smollm2-135m-instruct"));
    let embedded =
        router.embed(EmbedRequest { model: "embed".into(), texts: vec!["a".into()], ..EmbedRequest::default() });
    assert_eq!(embedded.await.unwrap().model, "local/all-minilm-l6-v2");
    assert!(router.notice().contains("cannot be trusted with tools"), "{}", router.notice());
}

#[tokio::test]
async fn the_same_question_is_answered_from_the_cache_where_that_is_asked_for() {
    let mut world = World::openai("").await;
    let ask = |cache: bool, text: &str| ChatRequest { cache, ..question(text) };
    let answer = |text: &str| [delta(json!({ "content": text })), finish("stop"), usage()];
    let mut said = Vec::new();
    for (cache, text, is_sent) in
        [(true, "a", true), (true, "a", false), (true, "b", true), (false, "a", true), (true, "a", false)]
    {
        let asked = world.ask(ask(cache, text));
        if is_sent {
            world.server.next().await.events(answer(text)).await;
        }
        let answer = asked.await.unwrap().unwrap();
        assert_eq!((answer.text.as_str(), answer.end().usage.is_nothing()), (text, !is_sent));
        said.push(answer);
    }
    // A broken answer is not kept.
    let asked = world.ask(ask(true, "c"));
    let mut call = world.server.next().await;
    call.stream().await;
    call.event(delta(json!({ "content": "c" }))).await;
    call.end().await;
    assert!(asked.await.unwrap().unwrap().error.is_some());
    let asked = world.ask(ask(true, "c"));
    world.server.next().await.events(answer("c")).await;
    asked.await.unwrap().unwrap().end();
}

fn usage() -> Json {
    super::world::usage(7, 2)
}
