//! Runs that begin after others.

use liteagent_engine::{id::RunId, store::EndPlace};
use liteagent_server::store::{AfterState, AfterStore as _, ScheduleId};
use serde_json::{Value as Json, json};

use super::{Case, HOUR};

const COLLECT: &str = "name: collect\ninputs: { fine: { type: boolean, default: true } }\n\
    nodes:\n  route: { type: if-else, cases: { fine: '{{ inputs.fine }}' } }\n\
    \x20 text: { type: template-transform, needs: [route.fine], template: '12' }\n\
    \x20 stop: { type: fail, needs: [route.else], message: nothing came }\n\
    outputs: { total: '{{ text.text if text else none }}' }\n";
const CLOSE: &str = "name: close\ninputs: { total: string, of: string }\n\
    triggers:\n  collected: { after: { workflow: collect }, inputs: { total: '{{ trigger.run.outputs.total }}', of: '{{ trigger.run.id }}' } }\n\
    nodes: { say: { type: answer, text: '{{ inputs.total }}' } }\n";
const ALARM: &str = "name: alarm\ninputs: { why: string }\n\
    triggers:\n  broken: { after: { workflow: collect, status: [failed, cancelled] }, inputs: { why: '{{ trigger.run.status }}: {{ trigger.run.error.message }}' } }\n\
    nodes: { say: { type: answer, text: '{{ inputs.why }}' } }\n";

impl Case {
    /// Runs a workflow to its end.
    async fn run(&self, workflow: &str, inputs: Json) -> RunId {
        let (status, run) = self.ask("POST /api/runs", &json!({ "workflow": workflow, "inputs": inputs })).await;
        assert_eq!(status, 200, "{run:#}");
        run["id"].as_str().unwrap().parse().unwrap()
    }

    /// The workflows of all runs, oldest first.
    async fn ran(&self) -> Vec<String> {
        self.runs().await.into_iter().map(|row| row.workflow).collect()
    }

    /// The only trigger of a workflow that starts runs after others.
    async fn follower(&self, workflow: &str) -> Json {
        let (status, reply) = self.ask(&format!("GET /api/after?workflow={workflow}"), &Json::Null).await;
        assert_eq!(status, 200, "{reply:#}");
        reply["triggers"][0].clone()
    }
}

#[tokio::test]
async fn a_run_begins_once_for_each_run_that_ended_so() {
    let case = Case::new().await;
    case.publish(COLLECT).await;
    // What ended before somebody waited for it does not count.
    case.run("collect", json!({})).await;
    case.clock.advance(std::time::Duration::from_secs(1));
    case.publish(CLOSE).await;
    case.publish(ALARM).await;
    assert_eq!(case.ran().await, ["collect"]);

    let good = case.run("collect", json!({})).await;
    let bad = case.run("collect", json!({ "fine": false })).await;
    case.look().await;
    assert_eq!(case.ran().await, ["collect", "collect", "collect", "close", "alarm"]);
    let rows = case.runs().await;
    assert_eq!(rows[3].id, RunId::after(good, "close/collected"));
    let trigger = case.end(&rows[3].id.to_string()).await;
    assert_eq!(
        (&trigger["type"], &trigger["name"], &trigger["run"]["id"]),
        (&json!("after"), &json!("collected"), &json!(good))
    );
    let (_, run) = case.ask(&format!("GET /api/runs/{}", rows[3].id), &Json::Null).await;
    assert_eq!(run["inputs"], json!({ "total": "12", "of": good }));
    let (_, run) = case.ask(&format!("GET /api/runs/{}", RunId::after(bad, "alarm/broken")), &Json::Null).await;
    assert_eq!(run["inputs"]["why"], "failed: nothing came");

    // Whoever looks, and as often.
    case.look().await;
    case.sleep(HOUR).await;
    case.installation.server().await.server.round().await;
    assert_eq!(case.ran().await.len(), 5);
    let follower = case.follower("close").await;
    assert_eq!((&follower["after"], &follower["status"]), (&json!("collect"), &json!(["succeeded"])));
    assert_eq!(follower["firings"].as_array().unwrap().len(), 1);
    assert_eq!(follower["firings"][0]["run"], json!(rows[3].id));
}

#[tokio::test]
async fn a_process_that_dies_between_loses_nothing_and_begins_nothing_twice() {
    let case = Case::new().await;
    case.publish(COLLECT).await;
    case.publish(CLOSE).await;
    for _ in 0..3 {
        case.run("collect", json!({})).await;
    }
    case.look().await;
    assert_eq!(case.ran().await.len(), 6);
    // It died before it kept how far it was.
    let id = ScheduleId { workflow: "close".to_owned(), name: "collected".to_owned() };
    let before = AfterState { id, watched: "something else".to_owned(), place: EndPlace::default() };
    case.installation.rows().await.begin_after(before).await.unwrap();
    case.run("collect", json!({})).await;
    case.look().await;
    assert_eq!(case.ran().await.len(), 8);
    assert_eq!(case.follower("close").await["firings"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn inputs_that_do_not_fit_are_told_and_hold_no_other_up() {
    let case = Case::new().await;
    case.publish(COLLECT).await;
    case.publish(&CLOSE.replace("total: string", "total: { type: string, maxLength: 1 }")).await;
    case.publish(
        &ALARM.replace("[failed, cancelled]", "succeeded").replace("trigger.run.error.message", "trigger.name"),
    )
    .await;
    case.run("collect", json!({})).await;
    case.look().await;
    assert_eq!(case.ran().await, ["collect", "alarm"]);
    let firing = case.follower("close").await["firings"][0].clone();
    assert!(firing["run"].is_null() && firing["message"].as_str().unwrap().starts_with("LA3002: "), "{firing:#}");
}

/// A workflow that begins after another one.
fn follows(name: &str, other: &str) -> String {
    format!(
        "name: {name}\ntriggers: {{ next: {{ after: {{ workflow: {other} }} }} }}\nnodes: {{ say: {{ type: answer, text: hi }} }}\n"
    )
}

#[tokio::test]
async fn workflows_that_would_start_each_other_for_ever_are_refused_or_stopped() {
    let case = Case::new().await;
    // Another process that does not know yet what this one publishes.
    let other = Case {
        world: case.installation.server().await,
        clock: case.clock.clone(),
        installation: case.installation.clone(),
    };
    case.publish(&follows("a", "b")).await;
    let (status, refused) = case.ask("POST /api/workflows", &json!({ "source": follows("b", "a") })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("LA4221")), "{refused:#}");
    assert!(refused["detail"].as_str().unwrap().contains("`b`, then `a`, then `b`"), "{refused:#}");

    let (status, reply) = other.ask("POST /api/workflows", &json!({ "source": follows("b", "a") })).await;
    assert_eq!(status, 201, "{reply:#}");
    case.look().await;
    case.run("a", json!({})).await;
    loop {
        let before = case.runs().await;
        for row in &before {
            case.end(&row.id.to_string()).await;
        }
        case.look().await;
        if case.runs().await.len() == before.len() {
            break;
        }
    }
    assert_eq!(case.ran().await.len(), 33);
    let [a, b] = [case.follower("a").await, case.follower("b").await];
    let messages = [&a, &b].map(|follower| follower["firings"][0]["message"].as_str().unwrap_or_default().to_owned());
    assert!(messages.iter().any(|message| message.starts_with("LA4222: ")), "{messages:?}");
}
