//! A service on loopback, of models and of anything else: a test says what it answers to whom.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
};

use liteagent_providers::testing::{Call, Server, delta, finish, usage};
use serde_json::{Value as Json, json};

/// What is answered.
pub(crate) enum Reply {
    /// A chat model says this, word by word.
    Says(String),
    /// A chat model calls a tool.
    Calls(&'static str, Json),
    /// A whole answer: status, headers and body.
    Answers(u16, Vec<(&'static str, &'static str)>, String),
}

/// It runs until its test is over.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Json>>>,
}

impl Service {
    pub(crate) fn start(reply: impl Fn(&Call) -> Reply + Send + 'static) -> Self {
        let asked = Arc::<Mutex<Vec<Json>>>::default();
        let (known, (tell, told)) = (asked.clone(), std::sync::mpsc::channel());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut server = Server::start().await;
                tell.send(server.address).unwrap();
                loop {
                    let call = server.next().await;
                    known.lock().unwrap().push(call.body.clone());
                    give(reply(&call), call).await;
                }
            });
        });
        Self { address: told.recv().unwrap(), asked }
    }

    /// The bodies of the requests so far.
    pub(crate) fn asked(&self) -> Vec<Json> {
        self.asked.lock().unwrap().clone()
    }

    /// A `liteagent.toml` with the models `work/big`, which is the default one, and `work/small`.
    pub(crate) fn config(&self) -> String {
        let address = self.address;
        format!(
            "[models]\ndefault = \"work/big\"\n[http]\nallow = [\"{address}\"]\n[providers.work]\nbase_url = \"http://{address}/v1\"\nkey = \"WORK\"\nmodels.big = {{ input = 1000.0, output = 2000.0 }}\nmodels.small = {{ input = 10.0, output = 20.0 }}\n"
        )
    }
}

/// The text of the last message.
pub(crate) fn question(call: &Call) -> String {
    call.body["messages"].as_array().and_then(|all| all.last()?["content"].as_str()).unwrap_or_default().to_owned()
}

async fn give(reply: Reply, call: Call) {
    let used = usage(1_000, 500);
    match reply {
        Reply::Says(text) => {
            let pieces = text.split_inclusive(' ').map(|piece| delta(json!({ "content": piece })));
            call.events(pieces.chain([finish("stop"), used])).await;
        }
        Reply::Calls(tool, arguments) => {
            let function = json!({ "name": tool, "arguments": arguments.to_string() });
            let calls = delta(json!({ "tool_calls": [{ "index": 0, "id": "call_9", "function": function }] }));
            call.events([calls, finish("tool_calls"), used]).await;
        }
        Reply::Answers(status, headers, body) => call.answer(status, &headers, body).await,
    }
}
