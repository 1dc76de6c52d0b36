//! Schedules on a clock that stands still until it is moved.

#![allow(clippy::tests_outside_test_module, reason = "integration tests are test modules")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, header},
};
use liteagent_engine::{
    store::{RunFilter, RunRow},
    time::{Clock as _, VirtualClock, iso},
    units::Millis,
};
use liteagent_server::store::{ScheduleId, ScheduleStore as _};
use serde_json::{Value as Json, json};

use self::common::{Installation, KEY, World};

#[path = "schedules/after.rs"]
mod after;
mod common;

/// A server at `2026-03-01T09:00:00Z`.
struct Case {
    clock: Arc<VirtualClock>,
    installation: Arc<Installation>,
    world: World,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

impl Case {
    async fn new() -> Self {
        let clock = Arc::new(VirtualClock::default());
        let installation = Installation::new(clock.clone(), &[]);
        let world = installation.server().await;
        Self { clock, installation, world }
    }

    async fn ask(&self, request: &str, body: &Json) -> (u16, Json) {
        let (method, path) = request.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
            .unwrap();
        let reply = self.world.ask(request).await;
        (reply.status.as_u16(), serde_json::from_str(&reply.body).unwrap_or_default())
    }

    async fn publish(&self, source: &str) {
        let (status, reply) = self.ask("POST /api/workflows", &json!({ "source": source })).await;
        assert_eq!(status, 201, "{reply:#}");
        self.look().await;
    }

    async fn look(&self) {
        self.world.server.round().await;
    }

    /// Lets time pass with nobody looking, then looks.
    async fn sleep(&self, seconds: u64) {
        self.clock.advance(std::time::Duration::from_secs(seconds));
        self.look().await;
    }

    /// The runs, oldest first.
    async fn runs(&self) -> Vec<RunRow> {
        let mut runs = self.installation.stores().journal.runs(RunFilter::default()).await.unwrap();
        runs.reverse();
        runs
    }

    /// Waits until a run has ended; gives its trigger.
    async fn end(&self, run: &str) -> Json {
        let reply = self.world.ask(get(&format!("/api/runs/{run}/events"))).await;
        assert!(reply.body.contains("event: end"), "{}", reply.body);
        let (_, journal) = self.ask(&format!("GET /api/runs/{run}/journal?limit=1"), &Json::Null).await;
        journal.pointer("/records/0/trigger").unwrap_or_else(|| panic!("{journal:#}")).clone()
    }

    async fn schedule(&self, path: &str) -> Json {
        let (status, reply) = self.ask(&format!("GET /api/schedules/{path}"), &Json::Null).await;
        assert_eq!(status, 200, "{reply:#}");
        reply
    }

    /// Times and results of the firings, oldest first.
    async fn firings(&self, path: &str) -> Vec<(String, String)> {
        let (_, page) = self.ask(&format!("GET /api/schedules/{path}/firings"), &Json::Null).await;
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let firings = page["firings"].as_array().unwrap().iter().rev();
        firings.map(|firing| (text(&firing["due_at"])[11..16].to_owned(), text(&firing["outcome"]))).collect()
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header(header::AUTHORIZATION, format!("Bearer {KEY}")).body(Body::empty()).unwrap()
}

fn hourly(fields: &str) -> String {
    format!(
        "name: tick\ninputs: {{ at: string, before: {{ type: string, default: never }} }}\n\
         triggers:\n  hourly: {{ cron: '@hourly', {fields} inputs: {{ at: '{{{{ trigger.scheduled_at }}}}' }} }}\n\
         nodes: {{ say: {{ type: answer, text: '{{{{ inputs.at }}}} {{{{ inputs.before }}}}' }} }}\n"
    )
}

/// A workflow that goes on until it is told not to.
fn waiting(overlap: &str) -> String {
    format!(
        "name: tick\ntriggers: {{ hourly: {{ cron: '@hourly', missed: all, overlap: {overlap} }} }}\n\
         nodes: {{ stay: {{ type: wait, signal: go }}, say: {{ type: answer, needs: [stay], text: done }} }}\n"
    )
}

#[tokio::test]
async fn a_firing_starts_one_run_that_knows_its_time_and_the_one_before() {
    let case = Case::new().await;
    case.publish(&hourly("")).await;
    case.look().await;
    assert_eq!(case.runs().await.len(), 0, "times before it was published are not its own");
    let reply = case.schedule("tick/hourly").await;
    assert_eq!((&reply["origin"], &reply["active"]), (&json!("definition"), &json!(true)));
    assert_eq!(
        (&reply["next"][0], &reply["next"][9]),
        (&json!("2026-03-01T10:00:00.000Z"), &json!("2026-03-01T19:00:00.000Z"))
    );

    case.sleep(HOUR).await;
    case.look().await;
    let runs = case.runs().await;
    assert_eq!((runs.len(), runs[0].trigger.as_str()), (1, "schedule"));
    let first = case.end(&runs[0].id.to_string()).await;
    let expected = json!({
        "type": "schedule", "name": "hourly", "scheduled_at": "2026-03-01T10:00:00.000Z", "previous_at": null,
    });
    assert_eq!(first, expected);

    case.sleep(HOUR).await;
    let runs = case.runs().await;
    assert_eq!(runs.len(), 2);
    let second = case.end(&runs[1].id.to_string()).await;
    assert_eq!(second["previous_at"], "2026-03-01T10:00:00.000Z");
    let reply = case.schedule("tick/hourly").await;
    assert_eq!(reply["last"]["outcome"], "succeeded");
    assert_eq!(reply["previous_at"], "2026-03-01T11:00:00.000Z");
}

#[tokio::test]
async fn after_a_sleep_over_three_firings_the_policy_decides() {
    for (missed, expected) in [
        ("skip", vec![("12:00", "missed")]),
        ("last", vec![("11:00", "missed"), ("12:00", "succeeded")]),
        ("all", vec![("10:00", "succeeded"), ("11:00", "succeeded"), ("12:00", "succeeded")]),
    ] {
        let case = Case::new().await;
        case.publish(&hourly(&format!("missed: {missed},"))).await;
        case.sleep(3 * HOUR + 30 * MINUTE).await;
        for run in case.runs().await {
            case.end(&run.id.to_string()).await;
        }
        let expected: Vec<_> = expected.into_iter().map(|(at, what)| (at.to_owned(), what.to_owned())).collect();
        assert_eq!(case.firings("tick/hourly").await, expected, "{missed}");
        case.sleep(20 * MINUTE).await;
        assert_eq!(case.firings("tick/hourly").await.len(), expected.len(), "{missed}: nothing fires again");
    }
}

#[tokio::test]
async fn while_a_run_goes_on_the_policy_decides() {
    for (overlap, outcomes, standing) in [
        ("allow", ["started", "started"], ["waiting", "waiting"].as_slice()),
        ("skip", ["started", "skipped"], &["waiting"]),
        ("queue", ["started", "started"], &["waiting", "queued"]),
        ("replace", ["cancelled", "started"], &["cancelled", "waiting"]),
    ] {
        let case = Case::new().await;
        case.publish(&waiting(overlap)).await;
        let rest = async |index: usize, standing: &str| {
            let id = case.runs().await[index].id;
            let mut last = Json::Null;
            for _ in 0..2_000 {
                last = case.ask(&format!("GET /api/runs/{id}"), &Json::Null).await.1;
                if last["status"] == standing {
                    return;
                }
                case.look().await;
            }
            panic!("{overlap}: run {index} is not {standing}: {last:#}");
        };
        case.sleep(HOUR).await;
        rest(0, "waiting").await;
        case.sleep(HOUR).await;
        assert_eq!(case.runs().await.len(), standing.len(), "{overlap}");
        for (index, standing) in standing.iter().enumerate() {
            rest(index, standing).await;
        }
        let found: Vec<_> = case.firings("tick/hourly").await.into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(found, outcomes, "{overlap}");
        if overlap == "queue" {
            let first = case.runs().await[0].id;
            case.ask(&format!("POST /api/runs/{first}/signal"), &json!({ "name": "go" })).await;
            rest(0, "succeeded").await;
            rest(1, "waiting").await;
        }
    }
}

#[tokio::test]
async fn two_servers_fire_nothing_twice_even_when_both_look() {
    let case = Case::new().await;
    case.publish(&hourly("missed: all,")).await;
    let other = case.installation.server().await;
    let rows = case.installation.rows().await;
    for _ in 0..5 {
        case.clock.advance(std::time::Duration::from_secs(2 * HOUR));
        // Both hold the lease, one after the other, and both look.
        let now = case.clock.now();
        tokio::join!(case.world.server.round(), other.server.round());
        rows.hold_scheduler("nobody", now + 100_000, now - 1).await.unwrap();
        other.server.round().await;
    }
    let runs = case.runs().await;
    assert_eq!(runs.len(), 10);
    assert_eq!(case.firings("tick/hourly").await.len(), 10);
}

#[tokio::test]
async fn a_crash_between_the_start_of_a_run_and_its_note_repeats_nothing() {
    let case = Case::new().await;
    case.publish(&hourly("")).await;
    let before = case.clock.now();
    case.sleep(HOUR).await;
    let runs = case.runs().await;
    case.end(&runs[0].id.to_string()).await;

    // The note is lost, and another version was published meanwhile, whose inputs the schedule does not fit any more.
    let id = ScheduleId { workflow: "tick".to_owned(), name: "hourly".to_owned() };
    let rows = case.installation.rows().await;
    let timing = rows.schedule_states().await.unwrap().remove(0).timing;
    rows.begin_schedule(&id, "", before).await.unwrap();
    rows.begin_schedule(&id, &timing, before).await.unwrap();
    case.publish(&hourly("missed: last,").replace("at: string", "at: integer")).await;
    case.look().await;
    assert_eq!(case.runs().await.len(), 1);
    assert_eq!(case.firings("tick/hourly").await, [("10:00".to_owned(), "succeeded".to_owned())]);
}

#[tokio::test]
async fn a_schedule_that_cannot_start_its_run_is_seen_and_stops_no_other() {
    let case = Case::new().await;
    case.publish(
        "name: broken\ninputs: { n: integer }\n\
         triggers: { hourly: { cron: '@hourly', inputs: { n: '{{ trigger.previous_at }}' } } }\n\
         nodes: { say: { type: answer, text: '{{ inputs.n }}' } }\n",
    )
    .await;
    case.publish(&hourly("")).await;
    case.sleep(HOUR).await;
    let last = case.schedule("broken/hourly").await["last"].clone();
    assert_eq!((&last["outcome"], &last["run"]), (&json!("refused"), &Json::Null));
    let message = last["message"].as_str().unwrap();
    assert!(message.starts_with("LA3002: ") && message.contains("/n"), "{message}");
    assert_eq!(case.runs().await.len(), 1, "the other one has fired");
}

#[tokio::test]
async fn what_is_not_published_or_paused_or_switched_off_does_not_fire_nor_catch_up() {
    let case = Case::new().await;
    case.publish(&hourly("missed: all,")).await;
    let none = async |why: &str| {
        case.sleep(5 * HOUR).await;
        assert_eq!(case.runs().await.len(), 0, "{why}");
    };
    case.ask("PUT /api/workflows/tick/published", &json!({ "version": null })).await;
    case.look().await;
    none("not published").await;
    case.ask("PUT /api/workflows/tick/published", &json!({ "version": 1 })).await;
    case.look().await;
    case.ask("POST /api/schedules/tick/hourly/pause", &Json::Null).await;
    assert_eq!(case.schedule("tick/hourly").await["paused"]["by"], "developer");
    none("paused").await;
    case.ask("POST /api/schedules/tick/hourly/resume", &Json::Null).await;
    case.look().await;
    assert_eq!(case.runs().await.len(), 0, "what was due meanwhile stays left out");
    case.publish(&hourly("missed: all, enabled: false,")).await;
    none("switched off").await;
    case.publish(&hourly("missed: all,")).await;
    case.sleep(HOUR).await;
    assert_eq!(case.runs().await.len(), 1);
}

#[tokio::test]
async fn a_range_is_caught_up_once() {
    let case = Case::new().await;
    case.publish(&hourly("")).await;
    let range =
        |dry_run: bool| json!({ "from": "2026-02-28T22:00:00Z", "until": "2026-03-01T00:30:00Z", "dry_run": dry_run });
    let ask = async |dry_run| {
        let (status, reply) = case.ask("POST /api/schedules/tick/hourly/backfill", &range(dry_run)).await;
        assert_eq!(status, 200, "{reply:#}");
        let firings = reply["firings"].as_array().unwrap().clone();
        let due = |firing: &Json| firing["due_at"].as_str().unwrap()[11..16].to_owned();
        assert_eq!(firings.iter().map(due).collect::<Vec<_>>(), ["22:00", "23:00", "00:00"]);
        firings
    };
    let planned = ask(true).await;
    assert_eq!(case.runs().await.len(), 0);
    let done = ask(false).await;
    assert_eq!(planned, done, "the ids of runs are known before");
    let again = ask(false).await;
    assert!(again.iter().all(|firing| firing["existed"] == true));
    let runs = case.runs().await;
    assert_eq!(runs.len(), 3);
    let trigger = case.end(&runs[0].id.to_string()).await;
    assert_eq!(trigger["scheduled_at"], iso(case.clock.now() - 11 * HOUR as Millis * 1_000));

    let too_many = json!({ "from": "2020-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z" });
    let to_come = json!({ "from": "2026-03-01T00:00:00Z", "until": "2027-03-01T00:00:00Z" });
    for wrong in [too_many, to_come] {
        let (status, reply) = case.ask("POST /api/schedules/tick/hourly/backfill", &wrong).await;
        assert_eq!((status, &reply["code"]), (400, &json!("LA4204")));
    }
}
