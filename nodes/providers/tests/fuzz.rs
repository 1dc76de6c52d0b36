//! Answers that are damaged at random: whatever a provider says, an answer ends with one end or one error, and nothing
//! panics. `LITEAGENT_FUZZ_SECONDS` sets how long it is tried.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use liteagent_engine::{
    capability::{
        Http, HttpCall, HttpReply, Secrets,
        model::{ChatEvent, ChatRequest, EmbedRequest, Message, Models as _, Part, ToolSpec},
    },
    error::NodeError,
    testing::{fuzz, mutated},
    time::VirtualClock,
    value,
};
use liteagent_providers::{Format, ProviderSettings, Router, resolve};
use proptest::prelude::*;

const OPENAI: &str = r#": comment
data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Grüße 😀","reasoning":"hm"}}]}

data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"a\":"}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":"tool_calls"}]}

data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":3}}}

data: [DONE]

"#;

const ANTHROPIC: &str = r#"event: message_start
data: {"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":3,"output_tokens":1}}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}

data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}

data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}

data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}

data: {"type":"message_stop"}

"#;

const WHOLE: &str = r#"{"data":[{"index":0,"embedding":[1.0,2.0]}],"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"content":[{"type":"text","text":"Hi"}],"usage":{"prompt_tokens":3}}"#;

const PIECES: &[&str] = &[
    "null",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "18446744073709551616",
    "1e999",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\n",
    "\r",
    "\n\n",
    "data: ",
    "data: [DONE]\n\n",
    "event: error\n",
    "\u{feff}",
    "\u{0}",
    "\\ud800",
    "\"index\":999999",
    "\"id\":\"b\"",
    "\"error\":{\"message\":\"x\"},",
    "\"type\":\"error\",",
    "\"finish_reason\":\"length\"",
    "\"finish_reason\":\"content_filter\"",
    "\"stop_reason\":\"refusal\"",
    "\"content\":[{\"type\":\"thinking\",\"thinking\":[7]}],",
    "\"content_block\":7,",
    "\"input\":7,",
    "\"embedding\":[0],",
];

/// Gives one answer, cut in two.
struct Says {
    body: String,
    cut: usize,
    status: u16,
}

#[async_trait]
impl Http for Says {
    async fn send(&self, call: HttpCall) -> Result<HttpReply, NodeError> {
        let bytes = Bytes::from(self.body.clone());
        let (first, second) = (bytes.slice(..self.cut.min(bytes.len())), bytes.slice(self.cut.min(bytes.len())..));
        let pieces = [first, second].into_iter().filter(|piece| !piece.is_empty()).map(Ok);
        let headers = vec![
            ("x-ratelimit-remaining-requests".to_owned(), self.cut.to_string()),
            ("x-ratelimit-reset-requests".to_owned(), self.body.chars().take(6).collect()),
        ];
        let body = stream::iter(pieces.collect::<Vec<_>>()).boxed();
        Ok(HttpReply { status: self.status, headers, url: call.url, body, retry_after: None })
    }
}

fn ask(says: Says, kind: Format) {
    let settings = ProviderSettings {
        kind: Some(kind),
        base_url: Some("http://x.test".into()),
        max_wait: Some(liteagent_engine::units::Duration::from_millis(1)),
        ..ProviderSettings::default()
    };
    let names = |name: &str| liteagent_providers::Names(vec![name.to_owned()]);
    let models = BTreeMap::from([("default".to_owned(), names("x/m")), ("embed".to_owned(), names("x/m"))]);
    let settings = BTreeMap::from([("x".to_owned(), settings)]);
    let deployment = resolve(&settings, &models, &Arc::<Secrets>::default(), &|_| None).unwrap();
    let parameters = value!({ "type": "object", "properties": {} });
    let tool = ToolSpec { name: "f".into(), description: String::new(), parameters };
    // One that has another behind it is not tried again, so nothing waits for a clock.
    let request = ChatRequest {
        models: vec!["x/m".into(), "nobody/m".into()],
        messages: vec![Message::User { parts: vec![Part::Text { text: "Hi".into() }] }],
        tools: vec![tool],
        ..ChatRequest::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let http = Arc::new(says);
        let clock = Arc::new(VirtualClock::default());
        let router = Router::open(deployment, http.clone(), clock.clone(), []).await;
        if let Ok(mut stream) = router.chat(request).await {
            let mut ends = 0;
            while let Some(event) = stream.next().await {
                assert_eq!(ends, 0, "nothing comes after the end");
                ends += usize::from(matches!(event, Ok(ChatEvent::End(_)) | Err(_)));
            }
            assert_eq!(ends, 1);
        }
        if http.status == 200 && kind == Format::OpenAi {
            let embed = EmbedRequest { model: "embed".into(), texts: vec!["a".into()], ..EmbedRequest::default() };
            // It may be tried again after a while.
            let time = async {
                loop {
                    clock.next_wake().into_iter().for_each(|at| clock.advance_to(at));
                    tokio::task::yield_now().await;
                }
            };
            let done = tokio::select! { done = router.embed(embed) => done, () = time => unreachable!("time goes on") };
            if let Ok(done) = done {
                assert!(done.vectors.len() == 1 && done.vectors[0].iter().all(|number| number.is_finite()));
            }
        }
    });
}

#[test]
fn whatever_a_provider_says_an_answer_ends_once() {
    let bodies = [OPENAI, ANTHROPIC, WHOLE].map(str::to_owned).to_vec();
    let strategy =
        (mutated(bodies, PIECES), 0_usize..400, any::<bool>(), prop::sample::select(vec![200_u16, 200, 200, 400]));
    fuzz(&strategy, |(body, cut, is_openai, status)| {
        let kind = if *is_openai { Format::OpenAi } else { Format::Anthropic };
        ask(Says { body: body.clone(), cut: *cut, status: *status }, kind);
    });
}
