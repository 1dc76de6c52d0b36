//! Workflows made by a grammar: what checks clean runs to an end, the same one every time, and no node type fails in a
//! way that is its own fault.

use std::sync::Arc;

use liteagent_engine::{
    bundle::Bundle,
    capability::Capabilities,
    engine::{Engine, EngineConfig, Settled, Start},
    load::load_text,
    node::Registry,
    store::Stores,
    testing::{VirtualClock, fuzz},
    units::Duration,
    value,
};
use proptest::prelude::*;

/// A node: its kind, what it refers to and how, its policies.
type Made = (u8, Vec<(prop::sample::Index, u8)>, u8, bool);

fn made() -> impl Strategy<Value = Vec<Made>> {
    let references = prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..3);
    prop::collection::vec((0_u8..11, references, 0_u8..8, any::<bool>()), 1..7)
}

/// The workflow as an author would write it.
fn written(nodes: &[Made]) -> String {
    let mut text =
        "inputs: { a: { type: string, default: x }, list: { type: \"integer[]\", default: [3, 1, 2] } }\nnodes:\n"
            .to_owned();
    for (at, (kind, references, policy, needs)) in nodes.iter().enumerate() {
        let expressions: Vec<String> =
            references.iter().filter(|_| at > 0).map(|(to, how)| reference(to.index(at), *how)).collect();
        let templated =
            expressions.iter().map(|expression| format!("{{{{ {expression} }}}}")).collect::<Vec<_>>().concat();
        let first = expressions.first().map_or("inputs.a", String::as_str);
        text.push_str(&format!("  n{at}:\n"));
        text.push_str(&match kind {
            0 => format!("    type: template-transform\n    template: \"t{templated}{{{{ inputs.a }}}}\"\n"),
            1 => format!("    type: if-else\n    cases: {{ text: \"{{{{ ({first}) == 'x' }}}}\", other: \"{{{{ inputs.list | length > 5 }}}}\" }}\n"),
            2 => format!("    type: switch\n    value: \"{{{{ {first} }}}}\"\n    cases: {{ text: x, other: tx }}\n"),
            3 => format!("    type: iteration\n    items: \"{{{{ inputs.list }}}}\"\n    on_item_error: keep\n    nodes: {{ b: {{ type: template-transform, template: \"{{{{ 6 / (item - 1) }}}}{templated}\" }} }}\n    output: \"{{{{ b.text }}}}\"\n"),
            4 => format!("    type: loop\n    state: {{ s: 0 }}\n    nodes: {{ b: {{ type: template-transform, template: \"{{{{ state.s }}}}{templated}\" }} }}\n    next: {{ s: \"{{{{ state.s + 1 }}}}\" }}\n    until: \"{{{{ state.s > 2 }}}}\"\n    max_rounds: {}\n    output: \"{{{{ state.s }}}}\"\n    on_limit: stop\n", 1 + policy),
            5 => format!("    type: variable-aggregator\n    first: {{ text: [\"{{{{ {first} }}}}\", \"{{{{ inputs.a }}}}\"] }}\n"),
            6 => "    type: list-operator\n    items: \"{{ inputs.list }}\"\n    limit: 2\n".to_owned(),
            7 => format!("    type: fail\n    message: \"no{templated}\"\n"),
            8 => "    type: wait\n    for: 1h\n".to_owned(),
            9 => format!("    type: template-transform\n    template: \"{{{{ inputs.list[{policy}] }}}}{templated}\"\n"),
            _ => format!("    type: assigner\n    set: {{ conversation.v: \"{{{{ {first} }}}}\" }}\n"),
        });
        if *needs && at > 0 {
            let port = ["", ".error", ".text", ".else", ".timeout", ".other", "", ""][usize::from(*policy)];
            text.push_str(&format!("    needs: [n{}{port}]\n", at - 1));
        }
        text.push_str(match policy {
            1 => "    on_error: continue\n",
            2 => "    retry: { attempts: 3, backoff: 1s }\n",
            3 => "    when: \"{{ inputs.a == 'x' }}\"\n",
            4 => "    timeout: 10s\n",
            5 => "    on_error: continue\n    when: \"{{ inputs.list | length > 5 }}\"\n",
            6 => "    on_error: { outputs: { text: stand-in } }\n",
            _ => "",
        });
    }
    text.push_str("outputs:\n");
    for at in 0..nodes.len() {
        text.push_str(&format!("  o{at}: \"{{{{ (n{at} | tojson) if n{at} is ran else 'none' }}}}\"\n"));
    }
    text
}

fn reference(to: usize, how: u8) -> String {
    match how {
        0 | 1 => format!("n{to}.text"),
        2 => format!("n{to}.text if n{to} else 'no'"),
        3 => format!("n{to}.text | default('no')"),
        4 => format!("n{to} is ran"),
        5 => format!("n{to}.error.code if n{to}.error else 'fine'"),
        6 => format!("n{to}.output"),
        _ => format!("n{to}.ok"),
    }
}

#[test]
fn what_checks_clean_runs_to_the_same_end_every_time() {
    let registry = liteagent_nodes::registry();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (made_all, clean) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let text = made().prop_map(|nodes| written(&nodes));
    fuzz(&text, |text| {
        made_all.set(made_all.get() + 1);
        let Some(bundle) = load_text("made.yaml", text, &registry).bundle else { return };
        clean.set(clean.get() + 1);
        let bundle = Arc::new(bundle);
        let (one, other) = runtime.block_on(async { (end(&bundle, &registry).await, end(&bundle, &registry).await) });
        assert_eq!(one, other, "the same run ends in different ways");
        assert!(!one.contains("LA2999") && !one.contains("LA3011"), "{one}");
    });
    println!("{} of {} checked clean and ran", clean.get(), made_all.get());
    assert!(clean.get() * 20 > made_all.get(), "the grammar hardly makes a clean workflow");
}

/// How a run ends: its status, outputs and error.
async fn end(bundle: &Arc<Bundle>, registry: &Registry) -> String {
    let clock = Arc::new(VirtualClock::at(1_000_000));
    let stores = Stores::memory().0;
    let config = EngineConfig {
        registry: registry.clone(),
        stores: stores.clone(),
        caps: Arc::new(Capabilities::default()),
        clock: clock.clone(),
        observer: None,
        hold: Duration::from_secs(10),
        quarantine: None,
        fleet: None,
    };
    let engine = Engine::open(config).await.unwrap();
    let run = engine.start(Start::new(bundle.clone(), value!({}), value!({ "type": "test" }))).await.unwrap();
    for _ in 0..1_000 {
        let settled = tokio::select! {
            biased;
            settled = engine.settled(run) => Some(settled.unwrap()),
            () = idle() => None,
        };
        match settled {
            Some(Settled::Ended(end)) => return format!("{:?} {:?} {:?}", end.status, end.outputs, end.error),
            Some(Settled::Waiting(_)) => {
                let row = stores.journal.run(run).await.unwrap().unwrap();
                clock.advance_to(row.wake_at.expect("it waits for a time"));
                engine.poll().await.unwrap();
            }
            Some(Settled::Queued(_)) => unreachable!("nothing else runs"),
            None => {
                if let Some(next) = clock.next_wake() {
                    clock.advance_to(next);
                }
            }
        }
    }
    panic!("the run does not end");
}

async fn idle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
