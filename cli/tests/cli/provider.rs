//! A provider in this process, as OpenAI talks, that says what a test wants it to say.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
};

use liteagent_providers::testing::{Call, Server, delta, finish, usage};
use serde_json::{Value as Json, json};

/// What it answers to one question.
pub(crate) enum Answer {
    /// A text, in these pieces.
    Says(Vec<String>),
    /// Calls of tools, each a name and its arguments.
    Calls(Vec<(&'static str, Json)>),
    /// This status and this message.
    Fails(u16, &'static str),
    /// The beginning of a text, and nothing more until the other side hangs up.
    Stalls(&'static str),
}

impl Answer {
    /// A text in one piece for each word.
    pub(crate) fn says(text: &str) -> Self {
        Self::Says(text.split_inclusive(' ').map(str::to_owned).collect())
    }
}

/// It runs as long as the process of the test.
pub(crate) struct Provider {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Json>>>,
}

impl Provider {
    /// Answers each question by its number, from 0, and what was said last. Another key than `sk-right` is refused.
    pub(crate) fn new(answer: impl FnMut(usize, &str) -> Answer + Send + 'static) -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(tell, seen, answer));
        });
        Self { address: told.recv().unwrap(), asked }
    }

    /// The same answers for ever.
    pub(crate) fn saying(text: &'static str) -> Self {
        Self::new(move |_, _| Answer::says(text))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `liteagent.toml` with this provider as the default.
    pub(crate) fn config(&self) -> String {
        config(self.address)
    }

    /// What the model was told with each question: the roles and texts of the messages, one a line.
    pub(crate) fn prompts(&self) -> Vec<String> {
        let text = |message: &Json| {
            let content = message["content"].as_str().map_or_else(|| message["content"].to_string(), str::to_owned);
            format!("{}: {content}", message["role"].as_str().unwrap_or_default())
        };
        let of = |body: &Json| body["messages"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join("\n");
        self.asked.lock().unwrap().iter().map(of).collect()
    }
}

/// `liteagent.toml` with a provider `work` at this address, whose model `big` is the default.
pub(crate) fn config(address: SocketAddr) -> String {
    format!(
        "[models]\ndefault = \"work/big\"\n[providers.work]\nbase_url = \"http://{address}/v1\"\nkey = \"WORK\"\nmodels.big = {{ input = 1.0, output = 2.0, context = 32000 }}\n"
    )
}

async fn serve(
    tell: std::sync::mpsc::Sender<SocketAddr>,
    asked: Arc<Mutex<Vec<Json>>>,
    mut answer: impl FnMut(usize, &str) -> Answer,
) {
    let mut server = Server::start().await;
    tell.send(server.address).unwrap();
    loop {
        let call = server.next().await;
        if call.header("authorization") != Some("Bearer sk-right") {
            refuse(call, 401, "Incorrect API key provided: sk-wrong-key").await;
            continue;
        }
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.push(call.body.clone());
            asked.len() - 1
        };
        let messages = call.body["messages"].as_array().unwrap();
        let last = messages.last().and_then(|message| message["content"].as_str()).unwrap_or_default();
        let answer = answer(number, last);
        tokio::spawn(give(call, answer));
    }
}

async fn give(mut call: Call, answer: Answer) {
    let mut events = match answer {
        Answer::Fails(status, message) => return refuse(call, status, message).await,
        Answer::Stalls(text) => {
            call.stream().await;
            call.event(delta(json!({ "content": text }))).await;
            return call.hung_up().await;
        }
        Answer::Says(pieces) => {
            let mut events: Vec<Json> = pieces.iter().map(|piece| delta(json!({ "content": piece }))).collect();
            events.push(finish("stop"));
            events
        }
        Answer::Calls(calls) => {
            let call = |(index, (name, arguments)): (usize, &(&str, Json))| {
                json!({ "index": index, "id": format!("call_{index}"), "type": "function",
                        "function": { "name": name, "arguments": arguments.to_string() } })
            };
            let calls: Vec<Json> = calls.iter().enumerate().map(call).collect();
            vec![delta(json!({ "tool_calls": calls })), finish("tool_calls")]
        }
    };
    events.push(usage(1000, 500));
    call.events(events).await;
}

async fn refuse(call: Call, status: u16, message: &str) {
    let body = json!({ "error": { "message": message } }).to_string();
    call.answer(status, &[("content-type", "application/json")], body).await;
}
