//! Many runs at one provider that says no, in virtual time.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use liteagent_engine::{
    capability::{
        Http, HttpCall, HttpReply,
        model::{ChatRequest, Models as _},
    },
    codes,
    error::NodeError,
    id::RunId,
    queue::{Pace, Paces, QueueError, Taken},
    time::{Clock, VirtualClock},
    units::Millis,
};
use liteagent_providers::{Company, Router};
use rstest::rstest;

use super::world::{Said, deployment, question};

/// A provider that refuses everything for a while, and then what is above its limit.
struct Provider {
    clock: Arc<VirtualClock>,
    /// How long an answer takes.
    latency: Millis,
    /// Until when it refuses everything.
    refuses_until: Millis,
    /// Calls a minute, as a bucket that holds a tenth of them.
    per_minute: f64,
    retry_after: Option<Millis>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    level: f64,
    filled_at: Millis,
    /// When calls came.
    sent: Vec<Millis>,
    /// The questions that were answered, in order.
    answered: Vec<String>,
    refused: usize,
}

impl Provider {
    fn takes(&self, now: Millis) -> bool {
        let mut state = self.state.lock().unwrap();
        state.sent.push(now);
        let filled = state.level + (now - state.filled_at) as f64 * self.per_minute / 60_000.0;
        state.level = filled.min(self.per_minute / 10.0);
        state.filled_at = now;
        let is_taken = now >= self.refuses_until && state.level >= 1.0;
        if is_taken {
            state.level -= 1.0;
        } else {
            state.refused += 1;
        }
        is_taken
    }
}

#[async_trait]
impl Http for Provider {
    async fn send(&self, call: HttpCall) -> Result<HttpReply, NodeError> {
        let now = self.clock.now();
        let liteagent_engine::capability::HttpBody::Bytes(body) = &call.body else { panic!("a body") };
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        let is_taken = self.takes(now);
        self.clock.sleep_until(now + self.latency).await;
        let reply = |status, body: &'static str| HttpReply {
            status,
            headers: Vec::new(),
            url: call.url.clone(),
            body: stream::iter([Ok(body.into())]).boxed(),
            retry_after: if status == 429 { self.retry_after } else { None },
        };
        if !is_taken {
            return Ok(reply(429, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#));
        }
        let question = body["messages"][0]["content"].as_str().unwrap().to_owned();
        self.state.lock().unwrap().answered.push(question);
        Ok(reply(
            200,
            "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ))
    }
}

/// What processes keep to together, with nothing between them; everything that is used at once is a tenth of a minute's.
struct Together {
    clock: Arc<VirtualClock>,
    paused_until: Mutex<Millis>,
    /// Calls that may be sent now, and when that was so.
    calls: Mutex<Option<(f64, Millis)>>,
}

#[async_trait]
impl Paces for Together {
    async fn take(&self, _account: &str, pace: Pace, _tokens: u64) -> Result<Taken, QueueError> {
        let now = self.clock.now();
        let wait = |until: Millis| Duration::from_millis((until - now).try_into().unwrap());
        let paused_until = *self.paused_until.lock().unwrap();
        if paused_until > now {
            return Ok(Taken::Paused(wait(paused_until)));
        }
        let per_minute = pace.calls.map_or(f64::INFINITY, |calls| f64::from(calls.get()));
        let mut calls = self.calls.lock().unwrap();
        let (level, at) = calls.unwrap_or((per_minute / 10.0, now));
        let level = (level + (now - at) as f64 * per_minute / 60_000.0).min(per_minute / 10.0);
        let is_there = level >= 1.0;
        *calls = Some((if is_there { level - 1.0 } else { level }, now));
        let missing = ((1.0 - level) / per_minute * 60_000.0).ceil().max(1.0);
        Ok(if is_there { Taken::Now } else { Taken::In(wait(now + missing as Millis)) })
    }

    async fn settle(&self, _account: &str, _pace: Pace, _tokens: i64) -> Result<(), QueueError> {
        Ok(())
    }

    async fn pause(&self, _account: &str, pause: Duration) -> Result<(), QueueError> {
        let mut until = self.paused_until.lock().unwrap();
        *until = (*until).max(self.clock.now() + pause.as_millis() as Millis);
        Ok(())
    }
}

/// Processes that call one provider with one key.
async fn processes(count: usize, toml: &str, provider: &Arc<Provider>) -> Vec<Arc<Router>> {
    let toml =
        format!("[providers.x]\nbase_url = \"http://x.test/v1\"\n{toml}\n[models]\ndefault = \"x/m\"\nembed = \"x/e\"");
    let clock = provider.clock.clone();
    let paces = (Mutex::default(), Mutex::default());
    let paces = Arc::new(Together { clock: clock.clone(), paused_until: paces.0, calls: paces.1 });
    let mut routers = Vec::new();
    for _ in 0..count {
        let company = Company { watcher: None, paces: Some(paces.clone()) };
        let router = Router::open_among(deployment(&toml, &[]), provider.clone(), clock.clone(), [], company);
        routers.push(Arc::new(router.await));
    }
    routers
}

/// Lets time pass until everything is done.
async fn run_out(clock: &VirtualClock, mut is_done: impl FnMut() -> bool) {
    while !is_done() {
        // Whatever is ready runs before time passes: nothing here waits for anything but the clock.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        match clock.next_wake() {
            Some(at) => clock.advance_to(at),
            None => assert!(is_done(), "nobody sleeps, and it is not done"),
        }
    }
}

/// The most calls within any minute.
fn busiest_minute(sent: &[Millis]) -> usize {
    (0..sent.len())
        .map(|first| sent[first..].iter().take_while(|at| **at - sent[first] < 60_000).count())
        .max()
        .unwrap_or(0)
}

/// How far from its turn a call was answered at most.
fn largest_delay(answered: &[String]) -> usize {
    answered.iter().enumerate().map(|(place, name)| place.abs_diff(name.parse().unwrap())).max().unwrap_or(0)
}

async fn serve(
    toml: &str,
    provider: Provider,
    questions: Vec<(RunId, String)>,
) -> (Arc<Provider>, Vec<Result<Said, NodeError>>) {
    let clock = provider.clock.clone();
    let provider = Arc::new(provider);
    let toml =
        format!("[providers.x]\nbase_url = \"http://x.test/v1\"\n{toml}\n[models]\ndefault = \"x/m\"\nembed = \"x/e\"");
    let router = Router::open(deployment(&toml, &[]), provider.clone(), clock.clone(), []).await;
    let router = Arc::new(router);
    let asked: Vec<_> = questions
        .into_iter()
        .map(|(run, text)| {
            let router = router.clone();
            let request = ChatRequest { run: Some(run), ..question(&text) };
            tokio::spawn(async move { Ok(Said::read(router.chat(request).await?).await) })
        })
        .collect();
    run_out(&clock, || asked.iter().all(tokio::task::JoinHandle::is_finished)).await;
    let mut said = Vec::new();
    for one in asked {
        said.push(one.await.unwrap());
    }
    (provider, said)
}

fn provider(per_minute: f64, refuses_for: Millis, retry_after: Option<Millis>) -> Provider {
    let clock = Arc::new(VirtualClock::default());
    let now = clock.now();
    let state = Mutex::new(State { filled_at: now, level: per_minute / 10.0, ..State::default() });
    Provider { latency: 200, refuses_until: now + refuses_for, per_minute, retry_after, state, clock }
}

/// The limit is configured, or only `Retry-After` is sent, or nothing at all.
#[rstest]
#[case::stated("requests_per_minute = 300", Some(5_000))]
#[case::only_retry_after("", Some(1_000))]
#[case::nothing_is_said("", None)]
#[tokio::test]
async fn twenty_seconds_of_refusals_fail_no_run_and_hammer_nobody(
    #[case] toml: &str,
    #[case] retry_after: Option<Millis>,
) {
    const LIMIT: f64 = 300.0;
    let questions = (0..200).map(|number| (RunId::random(), number.to_string())).collect();
    let (provider, said) = serve(toml, provider(LIMIT, 20_000, retry_after), questions).await;
    for answer in said {
        assert_eq!(answer.unwrap().text, "Hi");
    }
    let state = provider.state.lock().unwrap();
    let busiest = busiest_minute(&state.sent);
    assert!(busiest as f64 <= LIMIT * 1.2, "{busiest} calls in one minute, {} refused", state.refused);
    let during: Vec<_> = state.sent.iter().filter(|at| **at < provider.refuses_until).collect();
    assert!(during.len() <= 60, "{} calls while it refused everything", during.len());
    let delay = largest_delay(&state.answered);
    assert!(delay <= 20, "a call was answered {delay} places from its turn");
    let took = provider.clock.now() - provider.refuses_until;
    assert!(took < 90_000, "200 calls took {took} ms at 300 a minute");
}

#[tokio::test]
async fn a_run_with_many_calls_does_not_hold_up_others() {
    let busy = RunId::random();
    let mut questions: Vec<_> = (0..150).map(|number| (busy, format!("busy {number}"))).collect();
    questions.extend((0..20).map(|number| (RunId::random(), format!("other {number}"))));
    let (provider, said) = serve("requests_per_minute = 60", provider(60.0, 0, None), questions).await;
    assert!(said.iter().all(Result::is_ok));
    let state = provider.state.lock().unwrap();
    let last = state.answered.iter().rposition(|name| name.starts_with("other")).unwrap();
    assert!(last < 60, "the last of 20 others was answered as number {last}");
    let mut order: HashMap<&str, usize> = HashMap::new();
    for (place, name) in state.answered.iter().enumerate() {
        order.insert(name, place);
    }
    let own: Vec<usize> = (0..150).map(|number| order[format!("busy {number}").as_str()]).collect();
    assert!(own.is_sorted(), "calls of one run keep their order");
}

#[tokio::test]
async fn tokens_are_estimated_before_and_corrected_after() {
    // Each call is estimated at 1,000 tokens and more, and uses few: more than six pass in the first minute.
    let questions = (0..12).map(|number| (RunId::random(), number.to_string())).collect();
    let (provider, said) = serve("tokens_per_minute = 6000", provider(6_000.0, 0, None), questions).await;
    assert!(said.iter().all(Result::is_ok));
    let state = provider.state.lock().unwrap();
    let (first, last) = (state.sent[0], state.sent[11]);
    assert!(last - first < 60_000, "{} ms for calls that used few tokens", last - first);
}

#[tokio::test]
async fn only_so_many_calls_are_in_flight() {
    let questions = (0..40).map(|number| (RunId::random(), number.to_string())).collect();
    let (provider, said) = serve("in_flight = 4", provider(60_000.0, 0, None), questions).await;
    assert!(said.iter().all(Result::is_ok));
    let sent = &provider.state.lock().unwrap().sent;
    let at_once = |at: &Millis| sent.iter().filter(|other| **other >= *at && **other < *at + 200).count();
    assert!(sent.iter().all(|at| at_once(at) <= 4), "{sent:?}");
}

#[tokio::test]
async fn a_provider_that_wants_to_be_left_alone_for_long_is_not_waited_for() {
    let questions = (0..30).map(|number| (RunId::random(), number.to_string())).collect();
    let (provider, said) = serve("max_wait = \"1m\"", provider(60.0, 3_600_000, Some(600_000)), questions).await;
    for answer in said {
        let error = answer.unwrap_err();
        assert_eq!(error.code, codes::PROVIDER_RATE);
        assert!(error.retry_after.unwrap().as_secs() > 590, "{error:?}");
    }
    assert!(provider.state.lock().unwrap().sent.len() <= 16);
}

#[tokio::test]
async fn a_call_that_is_given_up_gives_its_place_back() {
    let mut provider = provider(60_000.0, 0, None);
    provider.latency = 10_000;
    let clock = provider.clock.clone();
    let provider = Arc::new(provider);
    let toml =
        "[providers.x]\nbase_url = \"http://x.test/v1\"\nin_flight = 1\n[models]\ndefault = \"x/m\"\nembed = \"x/e\"";
    let router = Arc::new(Router::open(deployment(toml, &[]), provider.clone(), clock.clone(), []).await);
    let ask = |text: &'static str| {
        let router = router.clone();
        tokio::spawn(async move { Ok::<_, NodeError>(Said::read(router.chat(question(text)).await?).await) })
    };
    let (first, second, third) = (ask("first"), ask("second"), ask("third"));
    while provider.state.lock().unwrap().sent.is_empty() {
        tokio::task::yield_now().await;
    }
    // One that waits, and the one that holds the place.
    second.abort();
    first.abort();
    run_out(&clock, || third.is_finished()).await;
    assert_eq!(third.await.unwrap().unwrap().text, "Hi");
    assert_eq!(provider.state.lock().unwrap().sent.len(), 2);
}

#[tokio::test]
async fn processes_keep_to_the_limit_of_a_key_together() {
    const LIMIT: f64 = 300.0;
    let provider = Arc::new(provider(LIMIT, 0, None));
    let clock = provider.clock.clone();
    let routers = processes(3, "requests_per_minute = 300", &provider).await;
    let asked: Vec<_> = (0..450)
        .map(|number: usize| {
            let router = routers[number % 3].clone();
            let request = ChatRequest { run: Some(RunId::random()), ..question(&number.to_string()) };
            tokio::spawn(async move { Ok::<_, NodeError>(Said::read(router.chat(request).await?).await) })
        })
        .collect();
    run_out(&clock, || asked.iter().all(tokio::task::JoinHandle::is_finished)).await;
    for one in asked {
        assert_eq!(one.await.unwrap().unwrap().text, "Hi");
    }
    let state = provider.state.lock().unwrap();
    assert_eq!((state.refused, state.answered.len()), (0, 450));
    let busiest = busiest_minute(&state.sent);
    assert!(busiest as f64 <= LIMIT * 1.15, "{busiest} calls in one minute");
    let took = state.sent[449] - state.sent[0];
    assert!(took < 90_000, "450 calls took {took} ms at 300 a minute");
}

#[tokio::test]
async fn what_one_process_is_told_to_wait_the_others_wait_as_well() {
    let provider = Arc::new(provider(300.0, 30_000, Some(30_000)));
    let clock = provider.clock.clone();
    let routers = processes(2, "", &provider).await;
    let ask = |router: &Arc<Router>| {
        let router = router.clone();
        tokio::spawn(async move { Ok::<_, NodeError>(Said::read(router.chat(question("Hi")).await?).await) })
    };
    let first = ask(&routers[0]);
    run_out(&clock, || provider.state.lock().unwrap().refused == 1).await;
    run_out(&clock, || clock.now() >= provider.refuses_until - 29_000).await;
    let second = ask(&routers[1]);
    run_out(&clock, || first.is_finished() && second.is_finished()).await;
    for one in [first, second] {
        assert_eq!(one.await.unwrap().unwrap().text, "Hi");
    }
    let state = provider.state.lock().unwrap();
    assert_eq!((state.refused, state.sent.len()), (1, 3));
    assert!(state.sent[1] >= provider.refuses_until, "{:?}", state.sent);
}
