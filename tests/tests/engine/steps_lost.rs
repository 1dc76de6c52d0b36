//! Steps whose processes, or those of their runs, die, stall, close, or come too late; and steps that are stopped.

use liteagent_engine::{
    engine::StepDone,
    event::{Event, Payload},
    queue::{Group, Pointer, Queue as _, Wake, Wakes as _},
    store::{Message, MessageBody, StepResult},
    time::Clock as _,
    usage::Spent,
};

use super::{
    steps::{Many, ZERO, alone, away, is_dispatch, is_loss, lost_and_ended},
    *,
};

#[tokio::test]
async fn a_step_whose_process_dies_runs_again_in_another() {
    lost_and_ended("step-lost").await;
}

#[tokio::test]
async fn a_step_that_must_not_run_twice_fails_when_its_process_dies() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    let run = owner.start(alone("step-once", json!({ "hangs": true, "on_lost": "fail" }))).await;
    worker.run(&many.next_step().await);
    many.until(async || probe::calls("step-once") == 1).await;
    many.kill(&worker);
    assert_eq!(many.end(&owner, run).await.error.unwrap().code, "LA2004");
    assert_eq!(probe::calls("step-once"), 1);
}

#[tokio::test]
async fn a_step_that_five_processes_died_of_fails() {
    let many = Many::new();
    let owner = many.process(&[Group::Workflow]).await;
    let run = owner.start(alone("step-deadly", json!({ "hangs": true }))).await;
    for call in 1..=5 {
        let worker = many.process(&[Group::Embedding]).await;
        many.serve(&worker, Group::Embedding);
        many.until(async || probe::calls("step-deadly") == call).await;
        many.kill(&worker);
    }
    assert_eq!(many.end(&owner, run).await.error.unwrap().code, "LA2004");
}

#[tokio::test]
async fn who_takes_a_run_over_gets_the_results_of_its_steps() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    let run = owner
        .start(json!({
            "secrets": ["TOKEN"],
            "nodes": { "during": away("step-during", json!({ "held": true })), "after": away("step-after", json!({
                "gives": "hush-hush-hush" })) },
        }))
        .await;
    let steps = [many.next_step().await, many.next_step().await];
    let (during, after) = if steps[0].to_string().ends_with("during") { (0, 1) } else { (1, 0) };
    let running = worker.run(&steps[during]);
    many.until(async || probe::calls("step-during") == 1).await;
    many.kill(&owner);
    assert_eq!(worker.run(&steps[after]).await.unwrap(), StepDone::Ended);
    let inbox = many.stores.journal.inbox(run).await.unwrap();
    let text = serde_json::to_string(&inbox.iter().map(|row| &row.message).collect::<Vec<_>>()).unwrap();
    assert!(text.contains("[secret TOKEN]") && !text.contains("hush-hush"), "{text}");
    let pushed = many.queue.pop(Group::Workflow, "test", 9, ZERO).await.unwrap();
    assert_eq!(pushed.into_iter().map(|leased| leased.job.pointer).collect::<Vec<_>>(), [Pointer::Run(run)]);

    let next = many.process(&[Group::Workflow]).await;
    next.engine.resume(run).await.unwrap();
    many.until(async || many.count(run, |event| matches!(event, Event::NodeSucceeded { .. })).await == 1).await;
    probe::release("step-during");
    assert_eq!(many.end(&next, run).await.usage.total().tokens(), 10);
    assert_eq!(many.finish(running).await, StepDone::Ended);
    assert_eq!((probe::calls("step-during"), probe::calls("step-after")), (1, 1));
    assert_eq!(many.count(run, is_loss).await, 0);
}

#[tokio::test]
async fn a_run_and_its_step_may_lose_their_processes_at_once() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    let run = owner.start(alone("step-both", json!({ "hanging_calls": 1 }))).await;
    worker.run(&many.next_step().await);
    many.until(async || probe::calls("step-both") == 1).await;
    many.kill(&owner);
    many.kill(&worker);

    let (owner, worker) = many.pair().await;
    many.serve(&worker, Group::Embedding);
    owner.engine.resume(run).await.unwrap();
    assert_eq!(many.end(&owner, run).await.outputs, value!({ "call": 2 }));
}

#[tokio::test]
async fn of_two_results_the_first_counts_and_a_pointer_that_comes_again_does_nothing() {
    let many = Many::new();
    let (owner, stalled) = many.pair().await;
    let run = owner.start(alone("step-twice", json!({ "held": true }))).await;
    let step = many.next_step().await;
    let first = stalled.run(&step);
    many.until(async || probe::calls("step-twice") == 1).await;
    let other = many.process(&[Group::Embedding]).await;
    assert_eq!(other.run(&step).await.unwrap(), StepDone::Nothing, "another process has it");

    many.die(&stalled);
    many.until(async || many.count(run, is_dispatch).await == 2).await;
    assert_eq!(many.finish(first).await, StepDone::GivenBack, "it sees that it was taken for dead");
    let second = other.run(&step);
    many.until(async || probe::calls("step-twice") == 2).await;
    // Had it seen that later, its result would have come first.
    assert!(send_result(&many, run, "attempt 1 of away").await);
    probe::release("step-twice");
    let end = many.end(&owner, run).await;
    assert_eq!((end.outputs, many.finish(second).await), (value!({ "call": 9 }), StepDone::Ended));
    assert_eq!(end.usage.total().tokens(), 0, "what counts is the result that counts");
    assert_eq!(many.count(run, |event| matches!(event, Event::NodeSucceeded { .. })).await, 1);
    assert_eq!(other.run(&step).await.unwrap(), StepDone::Nothing, "the run has ended");
}

/// Sends a result of the first attempt of `away`, as if a process had.
async fn send_result(many: &Many, run: RunId, id: &str) -> bool {
    let output = value!({ "value": 1, "call": 9 }).into();
    let result = StepResult::Done { port: None, output, writes: Vec::new() };
    let (node, usage) = ("away".to_owned(), Spent::default());
    let body = MessageBody::StepEnded { node, attempt: 1, result, usage, log: None };
    let message = Message { id: id.to_owned(), at: many.clock.now(), body };
    many.stores.journal.send(run, message).await.unwrap()
}

#[tokio::test]
async fn a_cancel_reaches_a_step_within_a_second_and_a_late_result_counts_for_nothing() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    let run = owner
        .start(json!({ "nodes": { "away": away("step-cancel", json!({ "held": true })), "waits": away("step-untaken", json!({})) },
            "finally": { "bye": probe("step-bye", json!({ "held": true })) } }))
        .await;
    let steps = [many.next_step().await, many.next_step().await];
    let (taken, untaken) = if steps[0].to_string().ends_with("away") { (0, 1) } else { (1, 0) };
    let running = worker.run(&steps[taken]);
    many.until(async || many.count(run, |event| matches!(event, Event::JobTaken { .. })).await == 1).await;
    let asked = many.clock.now();
    owner.engine.cancel(run, None).await.unwrap();
    assert_eq!(many.finish(running).await, StepDone::GivenBack);
    many.until(async || probe::calls("step-bye") == 1).await;
    assert!(many.clock.now() - asked <= 1_000, "it took {} ms", many.clock.now() - asked);
    assert_eq!(worker.run(&steps[untaken]).await.unwrap(), StepDone::Nothing);

    assert!(send_result(&many, run, "late").await);
    many.wakes.publish(Wake::Mail(run)).await.unwrap();
    probe::release("step-bye");
    let end = many.end(&owner, run).await;
    assert_eq!(
        (end.status, end.usage.total().tokens()),
        (RunStatus::Cancelled, 5),
        "what was used counts all the same"
    );
    let view = owner.engine.view(run).await.unwrap().unwrap();
    for node in ["away", "waits"] {
        assert!(matches!(view.nodes[node].status, ViewStatus::Cancelled), "{node}: {:?}", view.nodes[node].status);
    }
}

#[tokio::test]
async fn a_step_whose_process_does_not_answer_is_cancelled_after_a_second() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    let run = owner.start(alone("step-mute", json!({ "hangs": true }))).await;
    worker.run(&many.next_step().await);
    many.until(async || many.count(run, |event| matches!(event, Event::JobTaken { .. })).await == 1).await;
    worker.store.cut();
    let asked = many.clock.now();
    owner.engine.cancel(run, None).await.unwrap();
    // It cannot beat any more, but nobody has noticed that.
    many.living.lock().unwrap().retain(|engine| engine.session() != worker.engine.session());
    assert_eq!(many.end(&owner, run).await.status, RunStatus::Cancelled);
    assert!(many.clock.now() - asked <= 1_500, "it took {} ms", many.clock.now() - asked);
}

#[tokio::test]
async fn a_process_that_closes_gives_its_steps_back() {
    let many = Many::new();
    let (owner, closing) = many.pair().await;
    let run = owner.start(alone("step-closing", json!({ "hanging_calls": 1 }))).await;
    let step = many.next_step().await;
    let running = closing.run(&step);
    many.until(async || probe::calls("step-closing") == 1).await;
    many.living.lock().unwrap().retain(|engine| engine.session() != closing.engine.session());
    closing.engine.close().await.unwrap();
    assert_eq!(many.finish(running).await, StepDone::GivenBack);
    let begun = many.clock.now();
    let worker = many.process(&[Group::Embedding]).await;
    many.serve(&worker, Group::Embedding);
    let end = many.end(&owner, run).await;
    assert_eq!((end.outputs, end.usage.total().tokens()), (value!({ "call": 2 }), 10), "what was used before counts");
    assert!(many.clock.now() - begun < 5_000, "nobody waits for its death");
}

#[tokio::test]
async fn a_failed_item_stops_those_that_run_elsewhere() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    let run = owner
        .start(json!({
            "nodes": { "each": { "type": "iteration", "items": [0, 1], "parallel": 2, "nodes": {
                "away": away("step-fail-{{ item }}", json!({ "hangs": true, "when": "{{ item == 1 }}" })),
                "here": probe("step-fail-here", json!({ "held": true, "when": "{{ item == 0 }}", "failures": 9, "class": "invalid" })),
            }, "output": null } },
        }))
        .await;
    let running = worker.run(&many.next_step().await);
    many.until(async || many.count(run, |event| matches!(event, Event::JobTaken { .. })).await == 1).await;
    probe::release("step-fail-here");
    let end = many.end(&owner, run).await;
    assert_eq!(end.error.unwrap().node.as_deref(), Some("each[0].here"));
    assert_eq!(many.finish(running).await, StepDone::GivenBack);
    assert_eq!(end.usage.total().tokens(), 5);
}

#[tokio::test]
async fn a_process_that_knows_of_no_others_does_what_they_had_not_begun() {
    let many = Many::new();
    let owner = many.process(&[Group::Workflow]).await;
    let run = owner.start(alone("step-left", json!({}))).await;
    let step = many.next_step().await;
    many.kill(&owner);
    let single = many.open(None).await;
    single.engine.resume(run).await.unwrap();
    assert_eq!(many.end(&single, run).await.outputs, value!({ "call": 1 }));
    let worker = many.process(&[Group::Embedding]).await;
    assert_eq!(many.finish(worker.run(&step)).await, StepDone::Nothing);
}

#[tokio::test]
async fn a_result_whose_blob_is_gone_fails_the_node() {
    let many = Many::new();
    let (owner, worker) = many.pair().await;
    let run = owner.start(alone("step-blob", json!({ "gives": "{{ range(9000) | join(',') }}" }))).await;
    let step = many.next_step().await;
    many.kill(&owner);
    assert_eq!(many.finish(worker.run(&step)).await, StepDone::Ended);
    for message in many.stores.journal.inbox(run).await.unwrap() {
        if let MessageBody::StepEnded { result: StepResult::Done { output: Payload::Blob(digest), .. }, .. } =
            message.message.body
        {
            assert!(many.stores.blobs.delete(&digest).await.unwrap());
        }
    }
    let next = many.process(&[Group::Workflow]).await;
    next.engine.resume(run).await.unwrap();
    let error = many.end(&next, run).await.error.unwrap();
    assert!(error.code == "LA2004" && error.message.contains("is missing"), "{error:?}");
}
