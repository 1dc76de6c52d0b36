//! A router over the real HTTP client, with a scripted server behind it and a clock that stands still.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt as _;
use liteagent_engine::{
    capability::{
        Http, Secrets,
        model::{ChatEnd, ChatEvent, ChatRequest, ChatStream, Message, Models, Part, ToolCall, ToolSpec, Usage},
    },
    error::NodeError,
    time::VirtualClock,
    value,
};
use liteagent_nodes::egress::{Egress, EgressPolicy};
pub(super) use liteagent_providers::testing::{delta, finish, usage};
use liteagent_providers::{Deployment, Names, ProviderSettings, Router, resolve, testing::Server};

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct File {
    providers: BTreeMap<String, ProviderSettings>,
    models: BTreeMap<String, Names>,
}

/// What a `liteagent.toml` makes of an environment and the secret `KEY`.
pub(super) fn deployment(toml: &str, env: &[(&str, &str)]) -> Deployment {
    let file: File = toml::from_str(toml).unwrap();
    let secrets = Arc::new(Secrets::new([("KEY".to_owned(), "sk-secret".to_owned())]));
    let env: BTreeMap<_, _> = env.iter().copied().collect();
    resolve(&file.providers, &file.models, &secrets, &|name| env.get(name).map(|value| (*value).to_owned())).unwrap()
}

/// A provider `x` at a scripted server.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) router: Arc<Router>,
    pub(super) clock: Arc<VirtualClock>,
}

impl World {
    /// One that speaks as OpenAI does, with more lines of configuration.
    pub(super) async fn openai(more: &str) -> Self {
        let server = Server::start().await;
        let address = server.address;
        let toml = format!("[providers.x]\nbase_url = \"http://{address}/v1\"\nkey = \"KEY\"\n{more}");
        Self::at(server, &toml, &[]).await
    }

    /// One that speaks as Anthropic does.
    pub(super) async fn anthropic(more: &str) -> Self {
        Self::openai(&format!("kind = \"anthropic\"\n{more}")).await
    }

    /// Whatever is configured; nothing but loopback can be reached.
    pub(super) async fn at(server: Server, toml: &str, env: &[(&str, &str)]) -> Self {
        let deployment = deployment(toml, env);
        let policy = EgressPolicy::parse(deployment.endpoints()).unwrap();
        let http: Arc<dyn Http> = Arc::new(Egress::new(policy));
        let clock = Arc::new(VirtualClock::default());
        let router = Arc::new(Router::open(deployment, http, clock.clone(), []).await);
        Self { server, router, clock }
    }

    /// Starts a chat with `x/m`, and reads it to its end.
    pub(super) fn ask(&self, request: ChatRequest) -> tokio::task::JoinHandle<Result<Said, NodeError>> {
        let router = self.router.clone();
        tokio::spawn(async move { Ok(Said::read(router.chat(request).await?).await) })
    }

    /// Waits until someone sleeps until this long from now, and lets the time pass.
    pub(super) async fn pass(&self, seconds: i64) {
        use liteagent_engine::time::Clock as _;
        let at = self.clock.now() + seconds * 1_000;
        while self.clock.next_wake() != Some(at) {
            tokio::task::yield_now().await;
        }
        self.clock.advance_to(at);
    }
}

/// An answer that was read to its end.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) pieces: Vec<String>,
    pub(super) reasoning: String,
    pub(super) calls: Vec<ToolCall>,
    pub(super) end: Option<ChatEnd>,
    pub(super) spent: Option<Usage>,
    pub(super) error: Option<NodeError>,
}

impl Said {
    pub(super) async fn read(mut stream: ChatStream) -> Self {
        let mut said = Self::default();
        while let Some(event) = stream.next().await {
            assert!(said.end.is_none() && said.error.is_none(), "nothing comes after the end");
            match event {
                Ok(ChatEvent::Text(text)) => {
                    said.text += &text;
                    said.pieces.push(text);
                }
                Ok(ChatEvent::Reasoning(text)) => said.reasoning += &text,
                Ok(ChatEvent::Call(call)) => said.calls.push(call),
                Ok(ChatEvent::End(end)) => said.end = Some(end),
                Ok(ChatEvent::Spent { model, usage }) => {
                    assert_eq!(model, "x/m");
                    said.spent = Some(usage);
                }
                Err(error) => said.error = Some(error),
            }
        }
        assert!(said.end.is_some() != said.error.is_some(), "it ends with an end or an error: {said:?}");
        said
    }

    /// The calls as `name(arguments)#id`.
    pub(super) fn shown_calls(&self) -> Vec<String> {
        self.calls.iter().map(|call| format!("{}({})#{}", call.name, call.arguments, call.id)).collect()
    }

    pub(super) fn end(&self) -> &ChatEnd {
        self.end.as_ref().unwrap_or_else(|| panic!("it broke off: {:?}", self.error))
    }
}

/// A question to `x/m`.
pub(super) fn question(text: &str) -> ChatRequest {
    ChatRequest { models: vec!["x/m".to_owned()], messages: vec![user(text)], ..ChatRequest::default() }
}

pub(super) fn user(text: &str) -> Message {
    Message::User { parts: vec![Part::Text { text: text.to_owned() }] }
}

/// A tool `look_up` that takes an id.
pub(super) fn tool() -> ToolSpec {
    let parameters = value!({ "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] });
    ToolSpec { name: "look_up".to_owned(), description: "Finds one.".to_owned(), parameters }
}
