//! Answers as they come: in order, through branches, rounds and runs, and what is taken back.

use liteagent_engine::{
    composite::CompositeDef,
    error::ErrorClass,
    event::{Event, Record},
    stream::{Cause, RunStream, Screen, StreamEvent, StreamId, StreamItem},
};
use liteagent_tests::speaker::{Speak, Speaker};

use super::*;

#[path = "streams_readers.rs"]
mod readers;

/// So long may it take until something is shown.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Someone who reads what goes out of a run.
pub(super) struct Reader {
    stream: RunStream,
    screen: Screen,
    last: Option<StreamId>,
    pub(super) resets: Vec<StreamEvent>,
    records: Vec<Record>,
}

impl Reader {
    pub(super) async fn of(world: &World, run: RunId, after: Option<StreamId>) -> Self {
        let stream = world.engine.stream(run, after).await.unwrap();
        Self { stream, screen: Screen::default(), last: after, resets: Vec::new(), records: Vec::new() }
    }

    async fn next(&mut self) -> bool {
        let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        let next = next.unwrap_or_else(|_| panic!("nothing comes after {:?}", self.screen.text()));
        let Some(StreamItem { id, event }) = next.unwrap() else { return false };
        if matches!(event, StreamEvent::Reset { answer: None, .. }) {
            // What another process showed beyond its last record is lost.
            self.last = None;
        }
        assert!(id.is_none() || id > self.last, "ids grow: {id:?} after {:?}", self.last);
        self.last = id.or(self.last);
        self.screen.apply(&event);
        match event {
            StreamEvent::Record { record } => self.records.push(*record),
            reset @ StreamEvent::Reset { .. } => self.resets.push(reset),
            StreamEvent::Text { .. } | StreamEvent::Complete { .. } => {}
        }
        true
    }

    /// Reads until this is shown, and no further.
    pub(super) async fn sees(&mut self, text: &str) {
        while self.screen.text() != text {
            assert!(self.next().await, "the run ended, and shown is {:?}, not {text:?}", self.screen.text());
        }
    }

    /// Reads to the end of the run.
    pub(super) async fn ends(&mut self) -> String {
        while self.next().await {}
        assert!(self.screen.is_complete());
        let seqs: Vec<_> = self.records.iter().map(|record| record.seq).collect();
        assert!(seqs.is_sorted(), "records come in order: {seqs:?}");
        self.screen.text()
    }
}

async fn world_of(stores: Stores) -> World {
    let clock = Arc::new(VirtualClock::at(1_000_000));
    let caps = Capabilities {
        secrets: Arc::new(Secrets::new([("TOKEN".to_owned(), "hush-hush-hush".to_owned())])),
        ..Capabilities::default()
    };
    let engine = Engine::open(EngineConfig {
        registry: liteagent_nodes::registry().with::<Probe>().with::<Speak>(),
        stores: stores.clone(),
        caps: Arc::new(caps),
        clock: clock.clone(),
        observer: None,
        hold: Duration::from_secs(10),
        quarantine: None,
        fleet: None,
    })
    .await
    .unwrap();
    World { engine, stores, clock }
}

async fn speakers() -> World {
    world_of(Stores::memory().0).await
}

pub(super) fn speak(name: &str, more: Json) -> Json {
    let mut node = json!({ "type": "speak", "name": name });
    for (key, value) in more.as_object().unwrap() {
        node[key] = value.clone();
    }
    node
}

pub(super) fn answer(text: &str) -> Json {
    json!({ "type": "answer", "text": text })
}

/// What the journal says was said, without anything live.
async fn journaled(world: &World, run: RunId) -> String {
    let row = world.stores.journal.run(run).await.unwrap().unwrap();
    let other = world_of(world.stores.clone()).await;
    let mut reader = Reader::of(&other, row.id, None).await;
    reader.ends().await
}

#[tokio::test]
async fn an_answer_is_shown_piece_by_piece_in_the_order_of_its_template() {
    let world = speakers().await;
    let reply = Speaker::of("stream-order");
    let run = world
        .start_bundle(
            bundle(&[(
                "test",
                json!({
                    "inputs": { "name": "string" },
                    "nodes": {
                        "reply": speak("stream-order", json!({})),
                        "count": { "type": "template-transform", "template": "{{ reply.words }}" },
                        "say": answer("Hi {{ inputs.name | upper }}: {{ reply.text }} ({{ count.text }} words)"),
                    },
                }),
            )]),
            value!({ "name": "Ada" }),
        )
        .await;
    let mut reader = Reader::of(&world, run, None).await;
    reader.sees("Hi ADA: ").await;
    reply.say("Hel");
    reader.sees("Hi ADA: Hel").await;
    reply.say("lo").say(" there");
    reader.sees("Hi ADA: Hello there").await;
    reply.end();
    assert_eq!(reader.ends().await, "Hi ADA: Hello there (2 words)");
    assert!(reader.resets.is_empty());
    assert_eq!(journaled(&world, run).await, "Hi ADA: Hello there (2 words)");
    let opened = |record: &Record| matches!(&record.event, Event::AnswerOpened { node } if node == "say");
    let ended = |record: &Record| matches!(&record.event, Event::NodeSucceeded { node, .. } if node == "reply");
    let place = |which: &dyn Fn(&Record) -> bool| reader.records.iter().position(which).unwrap();
    assert!(place(&opened) < place(&ended), "it began before the node ended");
}

#[tokio::test]
async fn an_answer_whose_branch_is_open_waits_and_one_that_is_not_taken_is_never_shown() {
    let world = speakers().await;
    let (fast, judge) = (Speaker::of("stream-fast"), Speaker::of("stream-judge"));
    let run = world
        .start(json!({
            "nodes": {
                "fast": speak("stream-fast", json!({})),
                "judge": speak("stream-judge", json!({})),
                "route": { "type": "if-else", "cases": { "good": "{{ judge.text == 'yes' }}" } },
                "show": { "type": "answer", "needs": ["route.good"], "text": "It says: {{ fast.text }}" },
                "hide": { "type": "answer", "needs": ["route.else"], "text": "Not for you: {{ fast.text }}" },
            },
        }))
        .await;
    let mut reader = Reader::of(&world, run, None).await;
    fast.say("one ");
    idle().await;
    while let Some(StreamItem { event, .. }) = reader.stream.next_ready().await.unwrap() {
        reader.screen.apply(&event);
    }
    assert_eq!(reader.screen.text(), "", "nobody knows yet which answer it will be");
    judge.say("yes").end();
    reader.sees("It says: one ").await;
    fast.say("two");
    reader.sees("It says: one two").await;
    fast.end();
    assert_eq!(reader.ends().await, "It says: one two");
    assert!(reader.resets.is_empty());
}

#[tokio::test]
async fn what_a_failed_attempt_said_is_taken_back() {
    let world = speakers().await;
    let reply = Speaker::of("stream-retry");
    let run = world
        .start(json!({
            "nodes": {
                "reply": speak("stream-retry", json!({ "retry": { "attempts": 2, "backoff": "1s" } })),
                "say": answer("A: {{ reply.text }}"),
            },
        }))
        .await;
    let mut reader = Reader::of(&world, run, None).await;
    reply.say("wro");
    reader.sees("A: wro").await;
    reply.fail(ErrorClass::Unavailable);
    reader.sees("A: ").await;
    let cause = Some(Cause { node: "reply".into(), attempt: 1 });
    assert_eq!(reader.resets, [StreamEvent::Reset { answer: Some("say".into()), cause }]);
    reply.say("right").end();
    let end = tokio::join!(world.end(run), reader.ends());
    assert_eq!(end.1, "A: right");
}

#[tokio::test]
async fn nothing_stays_of_an_answer_that_is_never_given() {
    let world = speakers().await;
    let reply = Speaker::of("stream-fails");
    let run = world
        .start(json!({
            "nodes": { "reply": speak("stream-fails", json!({})), "say": answer("A: {{ reply.text }}") },
            "on_failure": { "sorry": answer("Sorry: {{ error.code }}") },
        }))
        .await;
    let mut reader = Reader::of(&world, run, None).await;
    reply.say("half of");
    reader.sees("A: half of").await;
    reply.fail(ErrorClass::Invalid);
    assert_eq!(reader.ends().await, "Sorry: LA2203");
    assert_eq!(journaled(&world, run).await, "Sorry: LA2203");
}

#[tokio::test]
async fn a_text_that_ends_otherwise_than_it_came_is_shown_as_the_journal_has_it() {
    let world = speakers().await;
    let reply = Speaker::of("stream-other");
    let run = world
        .start(json!({ "nodes": { "reply": speak("stream-other", json!({})), "say": answer("{{ reply.text }}") } }))
        .await;
    let mut reader = Reader::of(&world, run, None).await;
    reply.say("{\"broken");
    reader.sees("{\"broken").await;
    reply.end_with("{\"mended\": 1}");
    assert_eq!(reader.ends().await, "{\"mended\": 1}");
    assert_eq!(reader.resets.len(), 1);
}

#[tokio::test]
async fn answers_follow_each_other_in_the_order_in_which_they_begin() {
    let world = speakers().await;
    let (slow, other) = (Speaker::of("stream-slow"), Speaker::of("stream-second"));
    let run = world
        .start(json!({
            "nodes": {
                "last": answer("Done: {{ slow.words }}"),
                "slow": speak("stream-slow", json!({})),
                "a": answer("A {{ slow.text }}"),
                "notice": answer("Please wait."),
                "other": speak("stream-second", json!({ "needs": ["notice"] })),
                "b": answer("B {{ other.text }}"),
            },
        }))
        .await;
    let mut reader = Reader::of(&world, run, None).await;
    other.say("two").end();
    slow.say("on");
    // `b` is complete before `a`, and waits for its turn.
    while !reader.screen.text().ends_with("A on") {
        assert!(reader.next().await);
    }
    idle().await;
    slow.say("e").end();
    let shown = reader.ends().await;
    assert!(shown.find("A one").unwrap() < shown.find("B two").unwrap(), "{shown}");
    assert!(shown.find("Please wait.").unwrap() < shown.find("B two").unwrap(), "{shown}");
    assert!(shown.ends_with("Done: 1"), "{shown}");
    assert!(reader.resets.is_empty());
    assert_eq!(journaled(&world, run).await, shown, "the journal has them in the same order");
}

#[tokio::test]
async fn the_text_of_a_child_comes_through_where_that_is_certain() {
    let world = speakers().await;
    let inner = Speaker::of("stream-child");
    let child = json!({
        "nodes": { "reply": speak("stream-child", json!({ "retry": { "attempts": 2, "backoff": "1s" } })) },
        "outputs": { "text": "{{ reply.text }}", "loud": "{{ reply.text | upper }}" },
    });
    let between = json!({
        "nodes": { "call": { "type": "workflow", "workflow": "child" } },
        "outputs": { "text": "{{ call.text }}", "loud": "{{ call.loud }}" },
    });
    let parent = json!({ "nodes": {
        "ask": { "type": "workflow", "workflow": "between" },
        "say": answer("{{ ask.text }} / {{ ask.loud }}"),
    } });
    let all = bundle(&[("parent", parent), ("between", between), ("child", child)]);
    let run = world.start_bundle(all, Value::object()).await;
    let mut reader = Reader::of(&world, run, None).await;
    inner.say("ab");
    reader.sees("ab").await;
    inner.fail(ErrorClass::Unavailable);
    reader.sees("").await;
    inner.say("ot").say("her");
    let ((), ()) = tokio::join!(
        async {
            // The clock must move for the second attempt.
            for _ in 0..50 {
                idle().await;
                if let Some(next) = world.clock.next_wake() {
                    world.clock.advance_to(next);
                }
            }
        },
        reader.sees("other")
    );
    inner.end();
    assert_eq!(reader.ends().await, "other / OTHER");
}

#[tokio::test]
async fn the_text_of_a_round_is_taken_back_when_another_one_follows() {
    let world = speakers().await;
    let agent = Speaker::of("stream-rounds");
    let composite = json!({
        "composite": "thinker", "description": "Thinks until it is done.",
        "fields": { "who": { "type": "string", "static": true, "description": "Who thinks." } },
        "loop": {
            "state": { "text": "", "words": 0 },
            "next": { "text": "{{ think.text }}", "words": "{{ think.words }}" },
            "until": "{{ state.words > 1 }}",
            "max_rounds": 5,
        },
        "nodes": { "think": { "type": "speak", "name": { "field": "who" } } },
        "outputs": { "text": { "description": "The last thought.", "type": "string", "value": "{{ state.text }}" } },
    });
    let composite: CompositeDef = serde_json::from_value(composite).unwrap();
    let definition = json!({ "nodes": {
        "thinker": { "type": "thinker", "who": "stream-rounds" },
        "say": answer("So: {{ thinker.text }}."),
    } });
    let bundle = Arc::try_unwrap(bundle(&[("test", definition)])).unwrap();
    let bundle = bundle.with_composites(IndexMap::from([("thinker".to_owned(), composite)]));
    let run = world.start_bundle(Arc::new(bundle), Value::object()).await;
    let mut reader = Reader::of(&world, run, None).await;
    agent.say("hm");
    reader.sees("So: hm").await;
    agent.end();
    reader.sees("So: ").await;
    agent.say("I ").say("see");
    reader.sees("So: I see").await;
    agent.end();
    assert_eq!(reader.ends().await, "So: I see.");
    assert_eq!(reader.resets.len(), 1);
}

#[tokio::test]
async fn a_run_that_waits_shows_nothing_twice() {
    let world = speakers().await;
    let run = world
        .start(json!({
            "nodes": {
                "before": answer("Wait."),
                "go": { "type": "wait", "signal": "go", "needs": ["before"] },
                "after": { "type": "answer", "needs": ["go"], "text": "Thanks." },
            },
        }))
        .await;
    let mut reader = Reader::of(&world, run, None).await;
    reader.sees("Wait.").await;
    assert!(matches!(world.settled(run).await, Settled::Waiting(_)));
    world.engine.signal(run, SignalTo::Name("go".to_owned()), Value::Null, None).await.unwrap();
    assert_eq!(reader.ends().await, "Wait.\nThanks.");
    assert!(reader.resets.is_empty());
}

#[tokio::test]
async fn an_answer_after_a_wait_is_not_shown_before() {
    let world = speakers().await;
    let reply = Speaker::of("stream-wait");
    let run = world
        .start(json!({
            "nodes": {
                "reply": speak("stream-wait", json!({})),
                "go": { "type": "wait", "signal": "go", "needs": ["reply"] },
                "behind": { "type": "template-transform", "needs": ["go"], "template": "x" },
                "say": { "type": "answer", "needs": ["behind"], "text": "{{ reply.text }}" },
            },
        }))
        .await;
    let mut reader = Reader::of(&world, run, None).await;
    reply.say("secret").end();
    assert!(matches!(world.settled(run).await, Settled::Waiting(_)));
    while let Some(StreamItem { event, .. }) = reader.stream.next_ready().await.unwrap() {
        reader.screen.apply(&event);
    }
    assert_eq!(reader.screen.text(), "");
    world.engine.signal(run, SignalTo::Name("go".to_owned()), Value::Null, None).await.unwrap();
    assert_eq!(reader.ends().await, "secret");
}

#[tokio::test]
async fn a_run_that_is_durable_only_at_its_end_streams_too() {
    let world = speakers().await;
    let reply = Speaker::of("stream-end");
    let run = world
        .start(json!({ "durability": "end",
            "nodes": { "reply": speak("stream-end", json!({})), "say": answer("> {{ reply.text }}") } }))
        .await;
    let mut reader = Reader::of(&world, run, None).await;
    reply.say("live");
    reader.sees("> live").await;
    assert!(reader.records.is_empty(), "no record is durable");
    reply.end();
    assert_eq!(reader.ends().await, "> live");
    assert!(matches!(reader.records.last().unwrap().event, Event::RunEnded { .. }));
}

#[tokio::test]
async fn a_chat_without_answers_shows_its_output_and_secrets_are_hidden() {
    let world = speakers().await;
    let reply = Speaker::of("stream-chat");
    let definition = json!({
        "conversation": {},
        "secrets": ["TOKEN"],
        "nodes": { "reply": speak("stream-chat", json!({})) },
        "outputs": { "text": "{{ reply.text }}" },
    });
    let run = world.start_bundle(bundle(&[("test", definition)]), value!({ "message": "Hi" })).await;
    let mut reader = Reader::of(&world, run, None).await;
    reply.say("the token is hush-");
    reader.sees("the token is ").await;
    reply.say("hush-hu").say("sh, is it");
    reader.sees("the token is [secret TOKEN], is it").await;
    reply.end();
    assert_eq!(reader.ends().await, "the token is [secret TOKEN], is it");
    assert!(reader.resets.is_empty());
}
