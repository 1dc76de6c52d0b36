//! Wake-ups by publish and subscribe.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use liteagent_engine::queue::{LocalWakes, QueueError, Wake, WakeListener, WakeTopic, Wakes};
use redis::{
    Msg, RedisResult,
    aio::{PubSubSink, PubSubStream},
    cmd,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::redis::{RedisOptions, link::Link};

/// How long subscribing may take, and an answer to a question whether the server is there.
const ANSWER: Duration = Duration::from_secs(3);
/// How often the server is asked whether it is there: a connection that died silently is found out by it.
const ASK: Duration = Duration::from_secs(5);
/// What the channel of the steps of a run ends with.
const TEXTS: &str = ":texts";
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Wake-ups between processes, over Redis. What is published while a listener's connection is broken is lost; it hears
/// [`Wake::Missed`] when it is there again.
pub struct RedisWakes {
    shared: Arc<Shared>,
    subscribe: mpsc::UnboundedSender<Subscribe>,
    task: JoinHandle<()>,
}

struct Shared {
    link: Link,
    local: LocalWakes,
    prefix: String,
    /// Somebody listened in vain since the last connection.
    missed: AtomicBool,
}

struct Subscribe {
    topic: WakeTopic,
    done: oneshot::Sender<()>,
}

impl RedisWakes {
    /// Begins to connect. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be used. That nobody answers there is no error.
    pub fn new(options: &RedisOptions) -> Result<Self, QueueError> {
        let shared = Arc::new(Shared {
            link: Link::new(options)?,
            local: LocalWakes::new(),
            prefix: options.prefix.clone(),
            missed: AtomicBool::new(false),
        });
        let (subscribe, wanted) = mpsc::unbounded_channel();
        let task = tokio::spawn(shared.clone().hear(wanted));
        Ok(Self { shared, subscribe, task })
    }
}

impl Drop for RedisWakes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Wakes for RedisWakes {
    async fn publish(&self, wake: Wake) -> Result<(), QueueError> {
        let said = said(&wake);
        let Some(topic) = wake.topic() else {
            // Only the listeners of this process: others know best what they missed.
            self.shared.local.send(wake);
            return Ok(());
        };
        let mut publish = cmd("PUBLISH");
        publish.arg(self.shared.channel(topic)).arg(said);
        self.shared.link.call(&publish).await
    }

    async fn listen(&self, topic: WakeTopic) -> WakeListener {
        let (listener, _) = self.shared.local.join(topic);
        let (done, subscribed) = oneshot::channel();
        let sent = self.subscribe.send(Subscribe { topic, done }).is_ok();
        if !sent || !matches!(timeout(ANSWER, subscribed).await, Ok(Ok(()))) {
            self.shared.missed.store(true, Ordering::SeqCst);
        }
        listener
    }
}

impl Shared {
    fn channel(&self, topic: WakeTopic) -> String {
        match topic {
            WakeTopic::Mail => format!("{}:wake:mail", self.prefix),
            WakeTopic::Run(run) => format!("{}:wake:{run}", self.prefix),
            WakeTopic::Texts(run) => format!("{}:wake:{run}{TEXTS}", self.prefix),
        }
    }

    fn wake(&self, message: &Msg) -> Option<Wake> {
        let said = std::str::from_utf8(message.get_payload_bytes()).ok()?;
        heard(message.get_channel_name().strip_prefix(&self.prefix)?.strip_prefix(":wake:")?, said)
    }

    /// Hears for ever, over one connection after the other.
    async fn hear(self: Arc<Self>, mut wanted: mpsc::UnboundedReceiver<Subscribe>) {
        let mut pause = FIRST_PAUSE;
        for turn in 0.. {
            match timeout(ANSWER, self.connect(turn)).await {
                Ok(Ok((sink, stream))) => {
                    pause = FIRST_PAUSE;
                    if self.missed.swap(false, Ordering::SeqCst) {
                        self.local.send(Wake::Missed);
                    }
                    if self.hear_from(sink, stream, &mut wanted).await.is_ok() {
                        return;
                    }
                    tracing::warn!("the connection for wake-ups broke; connecting again");
                }
                Ok(Err(error)) => tracing::debug!(%error, "wake-ups cannot be heard yet"),
                Err(_) => tracing::debug!("wake-ups cannot be heard yet: no answer"),
            }
            self.missed.store(true, Ordering::SeqCst);
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self, turn: usize) -> RedisResult<(PubSubSink, PubSubStream)> {
        let client = self.link.connector.subscriber(turn).await?;
        let (mut sink, stream) = client.get_async_pubsub().await?.split();
        let channels: Vec<String> = self.local.listened().into_iter().map(|topic| self.channel(topic)).collect();
        if !channels.is_empty() {
            sink.subscribe(channels).await?;
        }
        Ok((sink, stream))
    }

    /// Hears until the connection breaks; `Ok` when nobody can listen any more.
    async fn hear_from(
        &self,
        mut sink: PubSubSink,
        mut stream: PubSubStream,
        wanted: &mut mpsc::UnboundedReceiver<Subscribe>,
    ) -> Result<(), Broken> {
        let mut ask = interval(ASK);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = stream.next() => {
                    let message = message.ok_or(Broken)?;
                    // One that cannot be read says nothing about who listens.
                    if self.wake(&message).is_some_and(|wake| !self.local.send(wake)) {
                        answered(sink.unsubscribe(message.get_channel_name())).await?;
                    }
                }
                subscribe = wanted.recv() => match subscribe {
                    None => return Ok(()),
                    Some(Subscribe { topic, done }) => {
                        answered(sink.subscribe(self.channel(topic))).await?;
                        // Who asked may have given up; then it hears that it missed something.
                        if done.send(()).is_err() {
                            self.local.send(Wake::Missed);
                        }
                    }
                },
                _ = ask.tick() => {
                    answered(sink.ping::<()>()).await?;
                }
            }
        }
    }
}

/// What goes over the channel of a wake-up.
fn said(wake: &Wake) -> String {
    match wake {
        Wake::Mail(run) => run.to_string(),
        Wake::Watch { run, anew: true } => format!("anew {run}"),
        Wake::Watch { run, anew: false } => format!("watch {run}"),
        Wake::Reconciled(session) => format!("reconciled {session}"),
        Wake::Record(_, seq) => seq.to_string(),
        Wake::Piece(_, piece) => serde_json::to_string(&**piece).expect(JSON),
        Wake::Text(_, text) => serde_json::to_string(&**text).expect(JSON),
        Wake::Missed => String::new(),
    }
}

const JSON: &str = "texts and numbers have a JSON form";

/// What was said over a channel; `None` when a newer release means something by it that this one does not know.
fn heard(channel: &str, said: &str) -> Option<Wake> {
    if let Some(run) = channel.strip_suffix(TEXTS) {
        let text = serde_json::from_str(said).ok()?;
        return Some(Wake::Text(run.parse().ok()?, Arc::new(text)));
    }
    if channel != "mail" {
        let run = channel.parse().ok()?;
        return match said.parse() {
            Ok(seq) => Some(Wake::Record(run, seq)),
            Err(_) => serde_json::from_str(said).ok().map(|piece| Wake::Piece(run, Arc::new(piece))),
        };
    }
    match said.split_once(' ') {
        None => said.parse().ok().map(Wake::Mail),
        Some(("anew", run)) => Some(Wake::Watch { run: run.parse().ok()?, anew: true }),
        Some(("watch", run)) => Some(Wake::Watch { run: run.parse().ok()?, anew: false }),
        Some(("reconciled", session)) => session.parse().ok().map(Wake::Reconciled),
        Some(_) => None,
    }
}

/// The connection broke.
struct Broken;

async fn answered<T>(call: impl Future<Output = RedisResult<T>>) -> Result<T, Broken> {
    timeout(ANSWER, call).await.map_err(|_| Broken)?.map_err(|_| Broken)
}
