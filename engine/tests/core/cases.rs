//! Cases that a draft got wrong, or that users would: by name.

use liteagent_engine::{event::RunStatus, run::Phase};
use serde_json::json;

use super::{sim::Sim, step::plan};

fn step() -> serde_json::Value {
    json!({ "type": "step" })
}

#[test]
fn a_rejected_approval_with_a_shared_upstream_node_does_not_act() {
    let mut sim = Sim::new(plan(json!({ "nodes": {
        "quote": step(),
        "approve": { "type": "step", "ports": ["yes", "no"], "reads": "{{ quote.total }}" },
        "pay": { "type": "step", "needs": ["approve.yes"], "reads": "{{ quote.total }}" },
        "refuse": { "type": "step", "needs": ["approve.no"], "reads": "{{ quote.total }}" },
    } })));
    sim.end("quote", "ok");
    sim.end("approve", "no");
    assert_eq!(sim.fate("pay"), "skipped: approve.yes not taken");
    assert_eq!(sim.fate("refuse"), "runs");
}

#[test]
fn triage_with_a_shared_upstream_node_takes_one_branch() {
    let mut sim = Sim::new(plan(json!({ "nodes": {
        "language": step(),
        "route": { "type": "step", "ports": ["bug", "billing", "other"] },
        "bug": { "type": "step", "needs": ["route.bug"], "reads": "{{ language.class }}" },
        "billing": { "type": "step", "needs": ["route.billing"], "reads": "{{ language.class }}" },
        "other": { "type": "step", "needs": ["route.other"] },
        "reply": { "type": "step",
            "reads": "{{ bug.text if bug else '' }}{{ billing.text | default('') }}{{ other.text if other else '' }}" },
    } })));
    sim.end("route", "billing");
    assert_eq!((sim.fate("bug"), sim.fate("billing")), ("waits".into(), "waits".into()), "`language` is not there yet");
    sim.end("language", "ok");
    assert_eq!(sim.fate("bug"), "skipped: route.bug not taken");
    assert_eq!(sim.fate("billing"), "runs");
    sim.end("billing", "ok");
    assert_eq!(sim.fate("reply"), "runs");
}

#[test]
fn a_guard_that_fails_beside_a_write_stops_the_write() {
    let mut sim = Sim::new(plan(json!({ "nodes": {
        "rows": step(),
        "guard": { "type": "step", "ports": ["ok", "else"], "reads": "{{ rows.count }}" },
        "stop": { "type": "step", "needs": ["guard.else"] },
        "save": { "type": "step", "needs": ["guard.ok"], "reads": "{{ rows.items }}" },
    } })));
    sim.end("rows", "ok");
    sim.end("guard", "else");
    assert_eq!(sim.fate("save"), "skipped: guard.ok not taken");
    sim.end("stop", "fails");
    assert!(matches!(&sim.state.phase, Phase::Ended(ending) if ending.status == RunStatus::Failed));
}

#[test]
fn a_join_after_four_branches_runs_once_after_the_one_that_was_taken() {
    let branch = |port: &str| json!({ "type": "step", "needs": [format!("route.{port}")] });
    for taken in ["a", "b", "c", "d"] {
        let mut sim = Sim::new(plan(json!({ "nodes": {
            "route": { "type": "step", "ports": ["a", "b", "c", "d"] },
            "a": branch("a"), "b": branch("b"), "c": branch("c"), "d": branch("d"),
            "join": { "type": "step", "needs": [{ "any": ["a", "b", "c", "d"] }] },
        } })));
        sim.end("route", taken);
        assert_eq!(sim.fate("join"), "waits");
        sim.end(taken, "ok");
        assert_eq!(sim.fate("join"), "runs");
    }
}

#[test]
fn nothing_found_skips_the_reader_and_the_run_succeeds() {
    let mut sim = Sim::new(plan(json!({ "nodes": {
        "search": step(),
        "found": { "type": "step", "ports": ["some", "else"], "reads": "{{ search.documents }}" },
        "reply": { "type": "step", "needs": ["found.some"], "reads": "{{ search.context }}" },
        "say": { "type": "step", "reads": "{{ reply.text }}" },
        "unknown": { "type": "step", "needs": ["found.else"] },
    } })));
    sim.end("search", "ok");
    sim.end("found", "else");
    assert_eq!(sim.fate("reply"), "skipped: found.some not taken");
    assert_eq!(sim.fate("say"), "skipped: reply has no value");
    sim.end("unknown", "ok");
    assert!(matches!(&sim.state.phase, Phase::Ended(ending) if ending.status == RunStatus::Succeeded));
}

#[test]
fn handlers_run_after_a_failure_and_change_nothing() {
    let mut sim = Sim::new(plan(json!({
        "nodes": { "a": step(), "b": step() },
        "on_failure": { "tell": { "type": "step", "reads": "{{ error.message }}{{ a.error }}" } },
        "finally": { "clean": step() },
    })));
    sim.end("a", "fails");
    // `b` was running: it is cancelled and settled before the handler starts.
    assert_eq!(sim.fate("on_failure.tell"), "runs");
    sim.end("on_failure.tell", "fails");
    sim.end("finally.clean", "ok");
    assert!(matches!(&sim.state.phase, Phase::Ended(ending) if ending.status == RunStatus::Failed));
}
