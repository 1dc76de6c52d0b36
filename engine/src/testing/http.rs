//! A fake of the network.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::{StreamExt, stream};

use crate::{
    capability::{Http, HttpCall, HttpReply},
    codes,
    error::{ErrorClass, NodeError},
    value::Value,
};

/// Answers every request from a list, in order, and keeps what was asked.
#[derive(Debug, Default)]
pub struct FakeHttp {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Value>,
    calls: Vec<HttpCall>,
}

impl FakeHttp {
    /// Answers with these objects of `status` (200), `headers`, and `json` or `body`; each is used once.
    pub fn answering(answers: impl IntoIterator<Item = Value>) -> Self {
        Self { state: Mutex::new(State { answers: answers.into_iter().collect(), calls: Vec::new() }) }
    }

    /// What was asked so far.
    pub fn calls(&self) -> Vec<HttpCall> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Http for FakeHttp {
    async fn send(&self, call: HttpCall) -> Result<HttpReply, NodeError> {
        let mut state = self.state();
        let url = call.url.clone();
        state.calls.push(call);
        let Some(answer) = state.answers.pop_front() else {
            return Err(NodeError::new(
                codes::CAPABILITY_ABSENT,
                ErrorClass::Unavailable,
                format!("the fake network has no answer left for `{url}`"),
            ));
        };
        Ok(reply(&answer, url))
    }
}

fn reply(answer: &Value, url: String) -> HttpReply {
    let mut headers: Vec<(String, String)> = answer
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let body = match (answer.get("json"), answer.get("body")) {
        (Some(json), _) => {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
            json.to_string()
        }
        (None, Some(body)) => body.as_str().unwrap_or_default().to_owned(),
        (None, None) => String::new(),
    };
    HttpReply {
        status: answer
            .get("status")
            .and_then(Value::as_i64)
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or(200),
        headers,
        url,
        body: stream::iter([Ok(body.into())]).boxed(),
        retry_after: None,
    }
}
