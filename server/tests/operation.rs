//! What whoever operates an installation asks of it, on a clock that stands still until it is moved.

#![allow(clippy::tests_outside_test_module, reason = "integration tests are test modules")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{Request, header},
};
use liteagent_engine::{
    definition::Limits,
    id::{RunId, SessionId},
    queue::{
        Back, Group, Job, MemoryQueue, MemoryRoster, Pointer, Queue as _, QueueError, QueueRules, Rate, Rates,
        Roster as _, WorkerInfo,
    },
    store::DAY,
    time::{Clock as _, VirtualClock},
    value,
};
use liteagent_server::{Budgets, Fleet, Settings};
use serde_json::{Value as Json, json};

use self::common::{Installation, KEY, Reply, World, developing};

mod common;

const ASK: &str = "\
name: ask
nodes: { say: { type: llm, model: test/model, messages: [{ user: How are you? }] } }
outputs: { text: \"{{ say.text }}\" }
";
const WAIT: &str = "\
name: wait
nodes: { go: { type: wait, signal: go } }
";

/// A server at `2026-03-01T09:00:00Z`.
struct Case {
    clock: Arc<VirtualClock>,
    installation: Arc<Installation>,
    world: World,
}

impl Case {
    async fn new(settings: Settings) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let installation = Installation::new(clock.clone(), &[]);
        let answers = vec![value!("Five words of an answer."); 9];
        let world = installation.server_with(settings, answers).await;
        let case = Self { clock, installation, world };
        for source in [ASK, WAIT] {
            let (status, reply) = case.ask("POST /api/workflows", &json!({ "source": source })).await;
            assert_eq!(status, 201, "{reply:#}");
        }
        case
    }

    async fn reply(&self, request: &str, key: &str, body: &Json) -> Reply {
        let (method, path) = request.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
            .unwrap();
        self.world.ask(request).await
    }

    async fn ask(&self, request: &str, body: &Json) -> (u16, Json) {
        self.ask_as(request, KEY, body).await
    }

    async fn ask_as(&self, request: &str, key: &str, body: &Json) -> (u16, Json) {
        let reply = self.reply(request, key, body).await;
        (reply.status.as_u16(), serde_json::from_str(&reply.body).unwrap_or_default())
    }

    /// Starts a run, and waits for it as far as that goes.
    async fn run(&self, workflow: &str, key: &str) -> (u16, Json) {
        self.ask_as("POST /api/runs", key, &json!({ "workflow": workflow })).await
    }

    async fn started(&self, workflow: &str) -> String {
        let (status, run) = self.run(workflow, KEY).await;
        assert!(status == 200 || status == 202, "{run:#}");
        run["id"].as_str().unwrap().to_owned()
    }

    async fn status(&self, run: &str) -> Json {
        self.ask(&format!("GET /api/runs/{run}"), &Json::Null).await.1["status"].clone()
    }

    async fn key(&self, body: Json) -> String {
        let (status, made) = self.ask("POST /api/keys", &body).await;
        assert_eq!(status, 201, "{made:#}");
        made["key"].as_str().unwrap().to_owned()
    }

    /// Waits until a run has ended.
    async fn end(&self, run: &str) {
        let events = self.reply(&format!("GET /api/runs/{run}/events"), KEY, &Json::Null).await.body;
        assert!(events.contains("event: end"), "{events}");
    }
}

#[tokio::test]
async fn held_runs_are_listed_cancelled_and_released_by_an_owner() {
    let case = Case::new(developing()).await;
    let (first, second) = (case.started("wait").await, case.started("wait").await);
    assert_eq!(case.installation.stores().journal.hold_runs().await.unwrap(), 2);

    let (_, list) = case.ask("GET /api/runs?status=held", &Json::Null).await;
    assert_eq!((list["runs"][0]["id"].clone(), list["runs"][1]["id"].clone()), (json!(second), json!(first)));
    let (status, _) = case.ask(&format!("POST /api/runs/{second}/cancel"), &json!({})).await;
    assert_eq!(status, 202);
    for wrong in [
        json!({}),
        json!({ "all": true, "ids": [] }),
        json!({ "ids": ["x"] }),
        json!({ "ids": [], "workflow": "wait" }),
        json!({ "some": true }),
    ] {
        let (status, problem) = case.ask("POST /api/runs/release", &wrong).await;
        assert!(status == 400 || status == 422, "{wrong}: {problem:#}");
        assert!(problem["hint"].is_string(), "{problem:#}");
    }
    case.world.server.round().await;
    assert_eq!((case.status(&first).await, case.status(&second).await), (json!("held"), json!("held")));

    let (_, released) = case.ask("POST /api/runs/release", &json!({ "ids": [second] })).await;
    assert_eq!(released, json!({ "released": 1, "runs": [second] }));
    case.end(&second).await;
    assert_eq!(case.status(&second).await, "cancelled");
    let (_, none) = case.ask("POST /api/runs/release", &json!({ "all": true, "workflow": "ask" })).await;
    assert_eq!(none["released"], 0);
    let (_, released) = case.ask("POST /api/runs/release", &json!({ "all": true })).await;
    assert_eq!(released["runs"], json!([first]));
    case.ask(&format!("POST /api/runs/{first}/signal"), &json!({ "name": "go" })).await;
    case.end(&first).await;
    assert_eq!(case.status(&first).await, "succeeded");
    let (_, log) = case.ask("GET /api/audit?action=runs.release", &Json::Null).await;
    let targets: Vec<_> = log["entries"].as_array().unwrap().iter().map(|entry| entry["target"].clone()).collect();
    assert_eq!(targets, ["all", "ask", "1 ids"]);
}

#[tokio::test]
async fn what_is_kept_long_enough_is_deleted_and_what_goes_on_is_not() {
    let case = Case::new(developing()).await;
    let (over, open) = (case.started("ask").await, case.started("wait").await);
    case.world.server.sweep().await;
    assert_eq!(case.status(&over).await, "succeeded");
    case.clock.advance(Duration::from_hours(24 * 31));
    case.world.server.sweep().await;
    let (status, _) = case.ask(&format!("GET /api/runs/{over}"), &Json::Null).await;
    assert_eq!(status, 404);
    assert_eq!(case.status(&open).await, "waiting");
    let (_, usage) = case.ask("GET /api/usage?days=60", &Json::Null).await;
    assert_eq!(usage["usage"][0]["runs"], 1, "what was used is known longer: {usage:#}");
}

#[tokio::test]
async fn somebody_is_forgotten_and_the_audit_log_does_not_say_who() {
    let case = Case::new(developing()).await;
    let about = |workflow: &str| json!({ "workflow": workflow, "subject": "ann@example.org" });
    let (_, run) = case.ask("POST /api/runs", &about("ask")).await;
    let (_, open) = case.ask("POST /api/runs", &about("wait")).await;
    let forget = json!({ "subject": "ann@example.org" });
    let (status, problem) = case.ask("POST /api/forget", &forget).await;
    assert_eq!((status, problem["code"].clone()), (409, json!("LA3009")));
    let open = open["id"].as_str().unwrap();
    assert!(problem["detail"].as_str().unwrap().contains(open), "{problem:#}");
    case.ask(&format!("POST /api/runs/{open}/cancel"), &json!({})).await;
    case.end(open).await;

    let (status, report) = case.ask("POST /api/forget", &forget).await;
    assert_eq!((status, report["runs"].clone()), (200, json!(2)));
    let (status, _) = case.ask(&format!("GET /api/runs/{}", run["id"].as_str().unwrap()), &Json::Null).await;
    assert_eq!(status, 404);
    let (_, log) = case.ask("GET /api/audit?action=subjects.forget", &Json::Null).await;
    assert_eq!(log["entries"].as_array().unwrap().len(), 2);
    assert!(!log.to_string().contains("ann@"), "{log:#}");
}

#[tokio::test]
async fn the_budget_of_a_key_ends_with_its_day_and_that_of_the_installation_with_the_month() {
    let tokens = |tokens| Limits { tokens: Some(tokens), ..Limits::default() };
    let budgets = Budgets { key: tokens(5), month: tokens(60), ..Budgets::default() };
    let case = Case::new(Settings { budgets, ..developing() }).await;
    let scope = json!({ "workflow": "ask" });
    let usual = case.key(json!({ "name": "usual", "scope": scope })).await;
    let own = case.key(json!({ "name": "own", "scope": scope, "budget": { "tokens": 1000 } })).await;
    // A second later, what was used is known.
    let later = || case.clock.advance(Duration::from_secs(2));

    let (status, run) = case.run("ask", &usual).await;
    assert_eq!((status, run["status"].clone()), (200, json!("succeeded")), "{run:#}");
    let used = run["usage"]["tokens"].as_u64().unwrap();
    assert!((5..20).contains(&used), "{used}");
    later();
    let reply = case.reply("POST /api/runs", &usual, &json!({ "workflow": "ask" })).await;
    let problem: Json = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status.as_u16(), problem["code"].clone()), (429, json!("LA4507")), "{problem:#}");
    let expected = format!("the budget of the API key `usual` is 5 tokens a day, and {used} tokens were used");
    assert_eq!(problem["detail"], *expected);
    assert!(problem["hint"].as_str().unwrap().starts_with("it begins anew at 2026-03-02T00:00:00"), "{problem:#}");
    let seconds: i64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(seconds > 0 && seconds <= DAY / 1_000);
    let (status, run) = case.run("ask", &own).await;
    assert_eq!(status, 200, "a key may have more: {run:#}");
    let earlier = format!("/api/runs/{}", run["id"].as_str().unwrap());

    case.clock.advance(Duration::from_hours(24));
    assert_eq!(case.run("ask", &usual).await.0, 200, "it is another day");
    // Until the month is used up, for everybody.
    let mut last = (200, Json::Null);
    for _ in 0..6 {
        later();
        last = case.run("ask", KEY).await;
        if last.0 != 200 || last.1["status"] == "failed" {
            break;
        }
    }
    let (status, problem) = last;
    assert_eq!((status, problem["code"].clone()), (429, json!("LA4507")), "{problem:#}");
    assert!(problem["hint"].as_str().unwrap().contains("2026-04-01T00:00:00"), "{problem:#}");
    for (what, body) in [("restart", json!({ "node": "say" })), ("fork", json!({}))] {
        let (status, problem) = case.ask(&format!("POST {earlier}/{what}"), &body).await;
        assert_eq!((status, problem["code"].clone()), (429, json!("LA4507")), "{what}: {problem:#}");
    }
    let many = json!({ "action": "restart", "ids": [run["id"]], "node": "say" });
    let (_, done) = case.ask("POST /api/runs/bulk", &many).await;
    let done = &done["runs"][0];
    assert!(done["outcome"] == "refused" && done["message"].as_str().unwrap().contains("the installation"), "{done:#}");
    case.clock.advance(Duration::from_hours(24 * 31));
    assert_eq!(case.run("ask", KEY).await.0, 200);
}

#[tokio::test]
async fn a_run_may_use_no_more_than_its_budget_and_a_key_start_no_more_runs_than_it_may() {
    let budgets = Budgets { run: Limits { tokens: Some(0), ..Limits::default() }, ..Budgets::default() };
    let case = Case::new(Settings { budgets, ..developing() }).await;
    let (_, run) = case.run("ask", KEY).await;
    assert_eq!((run["status"].clone(), run["error"]["code"].clone()), (json!("failed"), json!("LA2010")), "{run:#}");
    let again = format!("POST /api/runs/{}/restart", run["id"].as_str().unwrap());
    let (status, again) = case.ask(&again, &json!({ "node": "say" })).await;
    assert_eq!(status, 202, "{again:#}");
    let again = again["id"].as_str().unwrap();
    case.end(again).await;
    let (_, again) = case.ask(&format!("GET /api/runs/{again}"), &Json::Null).await;
    assert_eq!(again["failure"]["code"], "LA2010", "it is held to the same: {again:#}");

    let key = case.key(json!({ "name": "two", "scope": { "workflow": "wait" }, "runs": 2 })).await;
    let (_, first) = case.run("wait", &key).await;
    case.run("wait", &key).await;
    let reply = case.reply("POST /api/runs", &key, &json!({ "workflow": "wait" })).await;
    assert_eq!(reply.status.as_u16(), 429, "{}", reply.body);
    assert!(reply.headers.contains_key("retry-after"));
    let first = first["id"].as_str().unwrap();
    case.ask_as(&format!("POST /api/runs/{first}/signal"), &key, &json!({ "name": "go" })).await;
    case.end(first).await;
    assert_eq!(case.run("wait", &key).await.0, 202);
    let (status, problem) = case
        .ask("POST /api/keys", &json!({ "name": "x", "scope": { "workflow": "wait" }, "budget": { "cost": "5" } }))
        .await;
    assert_eq!((status, problem["code"].clone()), (400, json!("LA4002")), "{problem:#}");
}

/// Counts to two, and then is away.
#[derive(Default)]
struct Two(AtomicU32);

#[async_trait]
impl Rates for Two {
    async fn spend(&self, _: &str, _: NonZeroU32) -> Result<Rate, QueueError> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(Rate::Counted { left: 0 }),
            1 => Ok(Rate::Exceeded { wait: Duration::from_millis(1_500) }),
            _ => Err(QueueError::Unreachable("it is away".to_owned())),
        }
    }
}

#[tokio::test]
async fn queues_and_workers_are_shown_and_dead_letters_are_tried_again_or_dropped() {
    let clock = Arc::new(VirtualClock::default());
    let alone = Case::new(developing()).await;
    assert_eq!(alone.ask("GET /api/queues", &Json::Null).await, (200, json!({ "queues": [] })));
    assert_eq!(alone.ask("GET /api/workers", &Json::Null).await, (200, json!({ "workers": [] })));
    let (status, problem) = alone.ask("GET /api/queues/workflow/dead", &Json::Null).await;
    assert_eq!((status, &problem["code"]), (409, &json!("LA5107")));

    let rules = QueueRules { attempts: 1, ..QueueRules::default() };
    let (queue, roster) = (Arc::new(MemoryQueue::with(rules, clock.clone())), Arc::new(MemoryRoster::default()));
    let now = clock.now();
    let fleet = Fleet { queue: queue.clone(), roster: roster.clone(), rates: Arc::new(Two::default()) };
    let installation = Installation::among(clock.clone(), fleet);
    let world = installation.server_with(developing(), Vec::new()).await;
    let case = Case { clock: clock.clone(), installation, world };
    let worker = WorkerInfo {
        id: SessionId::random(),
        name: "first".to_owned(),
        host: "mars".to_owned(),
        queues: vec![Group::Workflow],
        concurrency: 8,
        active: 1,
        draining: true,
        version: "1".to_owned(),
        started_at: now,
        seen_at: now,
    };
    roster.tell(&worker).await.unwrap();
    let (_, workers) = case.ask("GET /api/workers", &Json::Null).await;
    let worker = &workers["workers"][0];
    assert_eq!(
        (&worker["name"], &worker["queues"], &worker["draining"]),
        (&json!("first"), &json!(["workflow"]), &json!(true))
    );

    let runs = [RunId::random(), RunId::random(), RunId::random()];
    let jobs = runs.map(|run| Job::new(Pointer::Run(run), now));
    queue.push(Group::Workflow, jobs.to_vec()).await.unwrap();
    let popped = queue.pop(Group::Workflow, "one", 2, Duration::ZERO).await.unwrap();
    let back = Back::Failed { not_before: None, reason: "it never works".to_owned() };
    queue.release(Group::Workflow, &popped, back).await.unwrap();
    clock.advance(Duration::from_secs(5));
    let (_, queues) = case.ask("GET /api/queues", &Json::Null).await;
    let workflow = queues["queues"].as_array().unwrap().iter().find(|queue| queue["name"] == "workflow").unwrap();
    let expected = json!({ "name": "workflow", "ready": 1, "delayed": 0, "leased": 0, "dead": 2, "age_ms": 5_000 });
    assert_eq!(*workflow, expected);
    let (_, page) = case.ask("GET /api/queues/workflow/dead?limit=1", &Json::Null).await;
    assert_eq!(
        (&page["letters"][0]["run"], &page["letters"][0]["reason"]),
        (&json!(runs[0].to_string()), &json!("it never works"))
    );
    let (first, after) = (page["letters"][0]["id"].clone(), page["next"].as_str().unwrap().to_owned());
    let (_, page) = case.ask(&format!("GET /api/queues/workflow/dead?after={after}"), &Json::Null).await;
    let second = page["letters"][0]["id"].clone();
    assert_eq!(page["next"], Json::Null);
    let retried = case.ask("POST /api/queues/workflow/dead/retry", &json!({ "ids": [first, "0-0"] })).await;
    assert_eq!(retried, (200, json!({ "count": 1 })));
    let dropped = case.ask("POST /api/queues/workflow/dead/drop", &json!({ "ids": [second] })).await;
    assert_eq!(dropped, (200, json!({ "count": 1 })));
    let depth = queue.depth(Group::Workflow).await.unwrap();
    assert_eq!((depth.ready, depth.dead), (2, 0));
    let (status, problem) = case.ask("GET /api/queues/post/dead", &Json::Null).await;
    assert_eq!(status, 404, "{problem}");

    // What servers count together counts; while it is away, each counts alone.
    assert_eq!(case.ask("POST /api/workflows", &json!({ "source": WAIT })).await.0, 201);
    let key = case.key(json!({ "name": "slow", "scope": { "workflow": "wait" }, "rate": 5 })).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let reply = case.reply("GET /api/runs", &key, &Json::Null).await;
        statuses.push((reply.status.as_u16(), reply.headers["ratelimit"].to_str().unwrap().to_owned()));
    }
    let left = |text: &str| text.to_owned();
    assert_eq!(
        statuses,
        [
            (200, left("\"key\";r=0;t=60")),
            (429, left("\"key\";r=0;t=60")),
            (200, left("\"key\";r=4;t=12")),
            (200, left("\"key\";r=3;t=24")),
        ]
    );
}
