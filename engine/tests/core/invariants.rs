//! Invariants R1 to R9 on random plans and random orders, and the fast `decide` against the scanning definition.

use std::collections::{BTreeMap, BTreeSet};

use liteagent_engine::{
    event::{AfterFailure, Event, OnItemError, Place},
    id::{JobId, SessionId},
    queue::Group,
    run::{Addr, Command, OpenJob, Phase, RunState, Status, decide},
    usage::Usage,
    value::Value,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{sim::Sim, step::plan};

/// A random node: its edges to earlier ones, and perhaps a body.
#[derive(Clone, Debug)]
struct Shape {
    edges: Vec<(prop::sample::Index, u8)>,
    uses_model: bool,
    budget: Option<u64>,
    body: Option<(&'static str, Vec<Shape>)>,
}

fn shape(depth: u32) -> BoxedStrategy<Shape> {
    let edges = prop::collection::vec((any::<prop::sample::Index>(), 0_u8..6), 0..4);
    let spends = (any::<bool>(), prop::option::weighted(0.15, 1_u64..12));
    if depth == 0 {
        let shape = |(edges, (uses_model, budget))| Shape { edges, uses_model, budget, body: None };
        return (edges, spends).prop_map(shape).boxed();
    }
    let kind = prop::sample::select(vec!["each", "rounds", "once", "calls"]);
    let body = prop::option::weighted(0.25, (kind, prop::collection::vec(shape(depth - 1), 1..4)));
    let shape = |(edges, (uses_model, budget), body)| Shape { edges, uses_model, budget, body };
    (edges, spends, body).prop_map(shape).boxed()
}

fn nodes(shapes: &[Shape], prefix: &str) -> Json {
    let mut all = serde_json::Map::new();
    for (at, shape) in shapes.iter().enumerate() {
        let mut needs = Vec::new();
        let mut reads = String::new();
        for (index, kind) in &shape.edges {
            if at == 0 {
                continue;
            }
            let other = format!("{prefix}{}", index.index(at));
            match kind {
                0 => needs.push(json!(other)),
                1 => needs.push(json!(format!("{other}.left"))),
                2 => needs.push(json!({ "any": [format!("{other}.right"), format!("{other}.error")] })),
                3 => reads.push_str(&format!("{{{{ {other}.text }}}}")),
                4 => reads.push_str(&format!("{{{{ {other}.text if {other} else '' }}}}")),
                _ => reads.push_str(&format!("{{{{ {other}.ok }}}}")),
            }
        }
        let mut node = match &shape.body {
            None => json!({ "type": if shape.uses_model { "model" } else { "step" }, "ports": ["left", "right"] }),
            Some((kind, body)) => json!({ "type": kind, "nodes": nodes(body, &format!("{prefix}{at}_")) }),
        };
        node["needs"] = needs.into();
        node["reads"] = reads.into();
        if let Some(tokens) = shape.budget {
            node["budget"] = json!({ "tokens": tokens });
        }
        all.insert(format!("{prefix}{at}"), node);
    }
    all.into()
}

/// What the scanning definition says: every node whose edges are settled and that has not begun.
fn scan(sim: &Sim) -> (BTreeSet<Addr>, BTreeSet<Addr>) {
    let (mut runs, mut skips) = (BTreeSet::new(), BTreeSet::new());
    for (at, node) in sim.state.nodes() {
        let frame = sim.state.frame(at.frame).unwrap();
        let body = &sim.plan.bodies[frame.body];
        let settled = |node: u32| frame.nodes[node as usize].status.is_settled();
        let begun = !matches!(node.status, Status::Pending | Status::Ready | Status::Issued);
        if begun || frame.is_stopping() || !body.predecessors(at.node).all(settled) {
            continue;
        }
        match sim.state.gate_of(&sim.plan, at).unwrap() {
            Ok(()) => runs.insert(at),
            Err(_) => skips.insert(at),
        };
    }
    (runs, skips)
}

/// Replays the journal, and gives the state with what it decides.
fn replayed(sim: &Sim) -> (RunState, Vec<Command>) {
    let mut state = RunState::default();
    for record in &sim.journal {
        state.apply(&sim.plan, record);
    }
    let commands = decide(&sim.plan, &mut state, sim.state.now);
    (state, commands)
}

fn open(items: u32, parallel: u32, policy: OnItemError) -> impl Fn(&mut Sim, Addr, u32) {
    move |sim, at, attempt| sim.open(at, attempt, items, parallel, policy)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_run_keeps_its_invariants_and_ends(
        shapes in prop::collection::vec(shape(2), 1..8),
        choices in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..24), 400),
        items in 0_u32..4,
        parallel in 1_u32..4,
        policy in prop::sample::select(vec![OnItemError::Fail, OnItemError::Keep, OnItemError::Drop]),
        width in 1_u32..5,
        tokens in prop::option::weighted(0.3, 1_u64..60),
        starts in prop::option::weighted(0.1, 1_u64..40),
    ) {
        let mut sim = Sim::new(plan(json!({
            "nodes": nodes(&shapes, "n"),
            "parallel": width,
            "budget": { "tokens": tokens, "nodes": starts, "warn_at": 0.5 },
            "on_failure": { "tell": { "type": "step" } },
            "finally": { "clean": { "type": "step" } },
        })));
        let open = open(items, parallel, policy);
        let mut attempts: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        // Containers among the first nodes were started before the test could open them: open them now.
        let early: Vec<_> = sim.state.nodes().filter(|(at, node)| {
            matches!(node.status, Status::Issued) && !sim.running.iter().any(|(running, _)| running == at)
        }).map(|(at, _)| at).collect();
        for at in early {
            open(&mut sim, at, 1);
        }
        sim.turn_with(&open);

        for (index, choice) in choices {
            if matches!(sim.state.phase, Phase::Ended(_)) {
                break;
            }
            prop_assert!(!sim.running.is_empty(), "the run is stuck: {:?}", sim.state);
            // R4, and decide against its scanning twin: what runs or is ready is what the scan finds.
            let (runs, skips) = scan(&sim);
            prop_assert!(skips.is_empty(), "a node that must be skipped was not");
            for (at, _) in &sim.running {
                prop_assert!(runs.contains(at) || !matches!(sim.state.node(*at).unwrap().status, Status::Issued));
            }
            let waiting = runs.iter().filter(|at| matches!(sim.state.node(**at).unwrap().status, Status::Pending));
            prop_assert_eq!(waiting.count(), 0, "a node that may run was not decided");
            // R6: a replayed prefix decides as the live state.
            let (twin, commands) = replayed(&sim);
            let live: BTreeSet<Addr> = sim.state.nodes()
                .filter(|(_, node)| matches!(node.status, Status::Issued | Status::Ready | Status::Sleeping(_)))
                .map(|(at, _)| at)
                .collect();
            for command in &commands {
                // `Finish` is given again whenever nothing is left to decide; the shell looks at the phase.
                let again = matches!(command, Command::Start { at, .. } | Command::OutOfBudget { at, .. } if live.contains(at));
                prop_assert!(again || matches!(command, Command::Finish), "a replay asks for {command:?}");
            }
            prop_assert_eq!(twin.seq, sim.state.seq);
            prop_assert_eq!(&twin.phase, &sim.state.phase);
            prop_assert_eq!((&twin.used, &twin.warned), (&sim.state.used, &sim.state.warned));
            prop_assert_eq!(twin.used.total().tokens(), sim.tokens(None), "every attempt counts");
            for (at, node) in sim.state.nodes() {
                prop_assert_eq!(node.used(), twin.node(at).unwrap().used());
                prop_assert_eq!(node.used().tokens(), sim.tokens(Some(at)), "a container counts what is inside it");
            }
            let issued = sim.state.nodes().filter(|(_, node)| matches!(node.status, Status::Issued)).count();
            prop_assert!(issued as u32 <= width.max(1), "`parallel` bounds what runs");

            let (at, attempt) = sim.running[index.index(sim.running.len())];
            let before = attempts.insert((at.frame, at.node), attempt).unwrap_or(attempt);
            prop_assert!(attempt == before || attempt == before + 1, "R3: attempts count on");
            let model = sim.plan.bodies[sim.state.frame(at.frame).unwrap().body].node(at.node).uses_models;
            if model {
                sim.uses.add("a/b", Usage { input_tokens: u64::from(choice % 5), ..Usage::default() });
            }
            match choice {
                _ if sim.waits(at) => sim.signal(at),
                8 => {
                    sim.wait(at, attempt, Value::Null);
                    sim.signal(at);
                }
                9..=12 => sim.succeed(at, attempt, Some("left")),
                13..=15 => sim.succeed(at, attempt, Some("right")),
                16 | 17 if attempt < 3 => sim.fail(at, attempt, AfterFailure::Retry(0)),
                16..=18 => sim.fail(at, attempt, AfterFailure::Continue),
                19 => sim.fail(at, attempt, AfterFailure::Fail),
                20 => sim.fail(at, attempt, AfterFailure::StandIn(liteagent_engine::value!({ "text": "y" }))),
                21 => {
                    // R9: the process dies while the node runs; the new owner settles it first.
                    let epoch = sim.state.epoch;
                    sim.record(Event::NodeStarted { node: at, attempt, place: Place::Local { epoch } });
                    sim.record(Event::RunTaken { epoch: epoch + 1, owner: SessionId(uuid::Uuid::nil()), deaths: 0, alone: false });
                    prop_assert_eq!(sim.state.lost(), vec![at]);
                    sim.running.retain(|(running, _)| *running != at);
                    let usage = std::mem::take(&mut sim.uses);
                    sim.record(Event::NodeLost { node: at, attempt, usage, handed_over: false });
                    prop_assert!(sim.state.lost().is_empty());
                }
                23 => {
                    // It runs elsewhere: a new owner leaves it alone, unless the process that took it is dead.
                    let (job, queue, epoch) = (JobId(uuid::Uuid::nil()), Group::Embedding, sim.state.epoch);
                    let taker = SessionId(uuid::Uuid::nil());
                    let started = sim.state.nodes().filter(|(_, node)| matches!(node.status, Status::Started(_))).count();
                    sim.record(Event::NodeStarted { node: at, attempt, place: Place::Job { id: job, queue } });
                    sim.record(Event::JobTaken { node: at, job, session: taker });
                    sim.record(Event::RunTaken { epoch: epoch + 1, owner: taker, deaths: 0, alone: false });
                    prop_assert_eq!(sim.state.lost(), vec![]);
                    let open: Vec<_> = sim.state.jobs().filter(|(open, _)| *open == at).collect();
                    prop_assert_eq!(open, vec![(at, OpenJob { id: job, queue, taken: Some(taker) })]);
                    prop_assert_eq!(sim.state.jobs().count(), started + 1, "jobs are counted as a scan finds them");
                    prop_assert!(sim.state.awaits(at, attempt));
                    if index.index(2) == 0 {
                        sim.succeed(at, attempt, None);
                    } else {
                        sim.running.retain(|(running, _)| *running != at);
                        let usage = std::mem::take(&mut sim.uses);
                        sim.record(Event::NodeLost { node: at, attempt, usage, handed_over: false });
                        prop_assert!(sim.state.awaits(at, attempt), "its result may still come, and counts");
                    }
                    prop_assert!(sim.state.job(at).is_none());
                }
                22 if index.index(8) == 0 => sim.record(Event::CancelRequested { by: None }),
                _ => sim.succeed(at, attempt, None),
            }
            sim.turn_with(&open);
        }

        while !matches!(sim.state.phase, Phase::Ended(_)) {
            prop_assert!(!sim.running.is_empty(), "the run is stuck: {:?}", sim.state);
            let (at, attempt) = sim.running[0];
            sim.succeed(at, attempt, None);
            sim.turn_with(&open);
        }
        let warned = sim.journal.iter().filter(|record| matches!(record.event, Event::BudgetWarned { .. })).count();
        prop_assert!(warned <= 2, "each limit is told once");
        // R1 and R2.
        for (at, record) in sim.journal.iter().enumerate() {
            prop_assert_eq!(record.seq, at as u64 + 1);
            prop_assert_eq!(matches!(record.event, Event::RunEnded { .. }), at + 1 == sim.journal.len());
        }
        prop_assert!(sim.running.is_empty(), "nothing runs after the end");
        // Nothing settled was settled again.
        let mut settled = BTreeSet::new();
        for record in &sim.journal {
            if let Event::NodeSucceeded { node, .. } | Event::NodeSkipped { node, .. } = &record.event {
                prop_assert!(settled.insert(*node), "{node:?} ended twice");
            }
        }
    }
}
