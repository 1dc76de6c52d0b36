//! Readers that break off, that are slow, and that go on with another process.

use super::*;

#[tokio::test]
async fn a_reader_that_breaks_off_goes_on_where_it_was() {
    let world = speakers().await;
    let reply = Speaker::of("stream-resume");
    let run = world
        .start(json!({ "nodes": { "reply": speak("stream-resume", json!({})), "say": answer("> {{ reply.text }}") } }))
        .await;
    let mut first = Reader::of(&world, run, None).await;
    reply.say("one ");
    first.sees("> one ").await;
    // While nobody reads, more comes. The channel lives as long as the run is executed.
    let (place, shown) = (first.last, first.screen.clone());
    drop(first);
    reply.say("two ");
    idle().await;
    let mut second = Reader::of(&world, run, place).await;
    second.screen = shown;
    second.sees("> one two ").await;
    assert!(second.resets.is_empty());

    // More than is kept: what is missing cannot be given, so everything is given again.
    let place = second.last;
    for _ in 0..6_000 {
        reply.say(".");
    }
    reply.end();
    world.end(run).await;
    let mut third = Reader::of(&world, run, place).await;
    third.screen = second.screen.clone();
    let dots = ".".repeat(6_000);
    assert_eq!(third.ends().await, format!("> one two {dots}"));
    assert_eq!(third.resets, [StreamEvent::Reset { answer: None, cause: None }]);

    // After the end there is nothing but the journal.
    let end = third.last.unwrap();
    let other = world_of(world.stores.clone()).await;
    let mut late = Reader::of(&other, run, Some(StreamId { seq: 2, n: 1 })).await;
    assert_eq!(late.ends().await, format!("> one two {dots}"));
    assert!(late.records.iter().all(|record| record.seq > 2));
    assert!(late.last.unwrap().seq >= end.seq);
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_nobody_up() {
    let world = speakers().await;
    let reply = Speaker::of("stream-lazy");
    let run = world
        .start(json!({ "nodes": { "reply": speak("stream-lazy", json!({})), "say": answer("{{ reply.text }}") } }))
        .await;
    let mut lazy = Reader::of(&world, run, None).await;
    reply.say("a");
    lazy.sees("a").await;
    for _ in 0..20_000 {
        reply.say("0123456789");
    }
    reply.end();
    assert_eq!(world.end(run).await.status, RunStatus::Succeeded);
    assert_eq!(lazy.ends().await.len(), 200_001);
    assert_eq!(lazy.resets.len(), 1, "it begins anew once");
}

#[tokio::test]
async fn a_run_that_another_process_goes_on_with_is_told_anew_as_far_as_it_was_lost() {
    let (stores, memory) = Stores::memory();
    let first = world_of(stores.clone()).await;
    let (one, two) = (Speaker::of("stream-lost-1"), Speaker::of("stream-lost-2"));
    let run = first
        .start(json!({
            "nodes": {
                "one": speak("stream-lost-1", json!({})),
                "a": answer("A {{ one.text }}"),
                "two": speak("stream-lost-2", json!({ "needs": ["a"] })),
                "b": answer("B {{ two.text }}"),
            },
        }))
        .await;
    let mut before = Reader::of(&first, run, None).await;
    one.say("x").end();
    two.say("lost");
    before.sees("A x\nB lost").await;

    memory.kill_session(first.engine.session());
    let second = world_of(stores).await;
    second.engine.resume(run).await.unwrap();
    let mut after = Reader::of(&second, run, before.last).await;
    after.screen = before.screen.clone();
    after.sees("A x\nB ").await;
    // The speaker of the dead process still listens, and what it gives counts for nothing.
    two.end();
    two.say("found");
    after.sees("A x\nB found").await;
    two.end();
    let shown = after.ends().await;
    assert_eq!(shown, "A x\nB found");
    assert_eq!(journaled(&second, run).await, shown);
}
