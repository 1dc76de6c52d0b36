//! An answer as it comes: bytes become events, silence becomes an error, and the end is counted and priced.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::poll_fn, stream, stream::BoxStream};
use liteagent_engine::{
    capability::model::{ChatEnd, ChatEvent, ChatStream, Finish, Usage},
    error::NodeError,
    time::Clock,
    units::{self, Millis},
};

use super::{
    Service,
    exchange::{Failed, Reply, of_http, stalled},
    tries,
};
use crate::{
    catalog::Facts,
    estimate,
    failure::{Fault, Place},
    sse,
    wire::{Ask, Reader, Step, Used},
};

/// The most bytes of an answer that does not stream.
const MOST_AT_ONCE: usize = 64 << 20;

/// After its last event a server has so many milliseconds to end its answer, so that the connection can be used again.
const GRACE: Millis = 2_000;

impl Service {
    /// Waits until the answer begins. What goes wrong before that can be tried again.
    pub(super) async fn stream(&self, ask: &Ask<'_>, facts: &Facts, mut reply: Reply) -> Result<ChatStream, Failed> {
        let told = self.limits_of(&reply);
        reply.pass.taken(&told);
        let patience = self.provider.patience;
        let mut answer = Box::new(Answer {
            body: Body::Open(reply.body),
            parser: sse::Parser::default(),
            events: VecDeque::new(),
            ready: VecDeque::new(),
            reader: self.provider.format.reader(ask),
            watchdog: Watchdog {
                clock: self.clock.clone(),
                limit: patience.first_token,
                moved_at: reply.sent_at,
                sleep: None,
            },
            between_tokens: patience.between_tokens,
            pass: Some(reply.pass),
            said: 0,
            question: estimate::question(ask.request),
            facts: facts.clone(),
            name: format!("{}/{}", self.provider.name, ask.model),
            model: ask.model.to_owned(),
            place: self.place.clone(),
            secret: self.provider.key.value(),
        });
        match answer.begin().await {
            Ok(first) => {
                if let Some(pass) = &answer.pass {
                    pass.answered();
                }
                Ok(answer.into_stream(first))
            }
            Err(fault) => match answer.pass.take() {
                Some(pass) => Err(self.settle(fault, None, pass, &told)),
                None => Err(fault.into()),
            },
        }
    }
}

/// An answer on its way.
struct Answer {
    body: Body,
    parser: sse::Parser,
    events: VecDeque<sse::Event>,
    ready: VecDeque<ChatEvent>,
    reader: Box<dyn Reader>,
    watchdog: Watchdog,
    between_tokens: units::Duration,
    /// Given back when the answer is over. Who drops the answer before gives it up.
    pass: Option<tries::Pass>,
    /// Bytes of the answer so far.
    said: usize,
    /// Tokens of the question, as they were estimated.
    question: u64,
    facts: Facts,
    name: String,
    model: String,
    place: Place,
    secret: Option<Arc<str>>,
}

enum Body {
    Open(BoxStream<'static, Result<Bytes, NodeError>>),
    Over,
}

impl Answer {
    /// The first event. Some servers do not stream though they are asked to: their answer begins as JSON does.
    async fn begin(&mut self) -> Result<Option<ChatEvent>, Fault> {
        match self.piece().await? {
            Piece::Bytes(bytes) if bytes.trim_ascii_start().first() == Some(&b'{') => self.at_once(bytes).await,
            piece => {
                self.take(piece)?;
                self.next().await
            }
        }
    }

    /// The next event; `None` after the last one.
    async fn next(&mut self) -> Result<Option<ChatEvent>, Fault> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.said += length(&event);
                return Ok(Some(event));
            }
            if let Some(event) = self.events.pop_front() {
                self.read(&event)?;
                continue;
            }
            match self.piece().await? {
                Piece::None => return Ok(None),
                piece => self.take(piece)?,
            }
        }
    }

    fn take(&mut self, piece: Piece) -> Result<(), Fault> {
        match piece {
            Piece::Bytes(bytes) => self
                .parser
                .feed(&bytes, &mut self.events)
                .map_err(|sse::TooLong| Fault::answer("an event of the stream is too long")),
            Piece::Last => {
                self.events.extend(std::mem::take(&mut self.parser).finish());
                while let Some(event) = self.events.pop_front() {
                    self.read(&event)?;
                }
                if matches!(self.body, Body::Open(_)) { self.end() } else { Ok(()) }
            }
            Piece::None => Ok(()),
        }
    }

    fn read(&mut self, event: &sse::Event) -> Result<(), Fault> {
        if matches!(self.body, Body::Over) {
            // Nothing is expected after the end.
            return Ok(());
        }
        match self.reader.event(event, &mut self.ready)? {
            Step::Idle => {}
            Step::Moved => self.watchdog.moved(self.between_tokens),
            Step::Done => self.end()?,
        }
        Ok(())
    }

    /// Reads an answer that does not stream.
    async fn at_once(&mut self, first: Bytes) -> Result<Option<ChatEvent>, Fault> {
        let mut whole = first.to_vec();
        while let Piece::Bytes(bytes) = self.piece().await? {
            whole.extend_from_slice(&bytes);
            if whole.len() > MOST_AT_ONCE {
                return Err(Fault::answer("it is too long"));
            }
        }
        self.reader.whole(&whole, &mut self.ready)?;
        self.end()?;
        self.next().await
    }

    /// The next bytes, unless the stream is silent for too long.
    async fn piece(&mut self) -> Result<Piece, Fault> {
        let Self { body, watchdog, .. } = self;
        let Body::Open(stream) = body else { return Ok(Piece::None) };
        let piece = poll_fn(|context| match stream.poll_next_unpin(context) {
            Poll::Ready(piece) => Poll::Ready(Ok(piece)),
            Poll::Pending => watchdog.poll(context).map(Err),
        });
        match piece.await {
            Ok(Some(Ok(bytes))) => Ok(Piece::Bytes(bytes)),
            Ok(None) => Ok(Piece::Last),
            Ok(Some(Err(error))) => Err(match of_http(error) {
                Failed::Fault(fault, _) => Fault::answer(fault.said),
                Failed::Passed(error) => Fault::answer(error.message),
            }),
            Err(limit) => Err(stalled("nothing more came", limit)),
        }
    }

    /// The answer is whole: what is held back comes, then its end.
    fn end(&mut self) -> Result<(), Fault> {
        let ended = self.reader.end(&mut self.ready)?;
        self.said += self.ready.iter().map(length).sum::<usize>();
        let usage = self.usage(ended.used);
        let finish = ended.finish.unwrap_or(Finish::Stop);
        let end = ChatEnd { model: self.name.clone(), finish, usage, opaque: ended.opaque };
        self.ready.push_back(ChatEvent::End(end));
        if let Some(pass) = self.pass.take() {
            pass.ended(usage.tokens());
        }
        if let Body::Open(body) = std::mem::replace(&mut self.body, Body::Over) {
            drain(body, self.watchdog.clock.clone());
        }
        Ok(())
    }

    /// What was used, with its price. Who counts nothing is estimated: a budget is not evaded by silence.
    fn usage(&self, used: Used) -> Usage {
        let mut used = used;
        if used.usage.tokens() == 0 {
            used.usage.input_tokens = self.question;
            used.usage.output_tokens = estimate::text(self.said);
        }
        self.facts.price(used)
    }

    /// The rest of the answer as events. It ends with its end, or with what was used and an error.
    fn into_stream(self: Box<Self>, first: Option<ChatEvent>) -> ChatStream {
        let rest = stream::unfold((Some(self), None), |(answer, error)| async move {
            if let Some(error) = error {
                return Some((Err(error), (None, None)));
            }
            let mut answer: Box<Self> = answer?;
            match answer.next().await {
                Ok(event) => Some((Ok(event?), (Some(answer), None))),
                Err(fault) => {
                    let (spent, error) = answer.broken(&fault);
                    let model = answer.name.clone();
                    Some((Ok(ChatEvent::Spent { model, usage: spent }), (None, Some(error))))
                }
            }
        });
        stream::iter(first.map(Ok)).chain(rest).boxed()
    }

    /// The answer broke off: what was used, and the error.
    fn broken(&mut self, fault: &Fault) -> (Usage, NodeError) {
        let spent = self.usage(self.reader.used());
        if let Some(pass) = self.pass.take() {
            pass.broke(self.watchdog.clock.now(), fault.kind.is_outage(), spent.tokens());
        }
        (spent, self.place.error(&self.model, fault, self.secret.as_deref()))
    }
}

/// What came.
enum Piece {
    Bytes(Bytes),
    /// The stream ended.
    Last,
    /// It was over before.
    None,
}

fn length(event: &ChatEvent) -> usize {
    match event {
        ChatEvent::Text(text) | ChatEvent::Reasoning(text) => text.len(),
        ChatEvent::Call(call) => call.name.len() + call.arguments.len(),
        ChatEvent::Spent { .. } | ChatEvent::End(_) => 0,
    }
}

/// Lets a body end, so that its connection goes back to the pool.
fn drain(mut body: BoxStream<'static, Result<Bytes, NodeError>>, clock: Arc<dyn Clock>) {
    // Mostly it has ended already.
    while let Some(piece) = body.next().now_or_never() {
        if !matches!(piece, Some(Ok(_))) {
            return;
        }
    }
    tokio::spawn(async move {
        let end = async { while let Some(Ok(_)) = body.next().await {} };
        // A connection that does not end is closed.
        tokio::select! {
            () = end => {}
            () = clock.sleep_until(clock.now() + GRACE) => {}
        }
    });
}

/// Ends a stream that is silent for too long. What it costs is one timer for many events.
struct Watchdog {
    clock: Arc<dyn Clock>,
    limit: units::Duration,
    moved_at: Millis,
    sleep: Option<(Millis, Sleep)>,
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Watchdog {
    /// The answer went on: from now on it has `limit` for the next piece.
    fn moved(&mut self, limit: units::Duration) {
        self.moved_at = self.clock.now();
        self.limit = limit;
        if self.sleep.as_ref().is_some_and(|(until, _)| *until > self.deadline()) {
            self.sleep = None;
        }
    }

    fn deadline(&self) -> Millis {
        self.moved_at.saturating_add(self.limit.millis())
    }

    /// Ready with the limit when that is exceeded.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<units::Duration> {
        loop {
            let deadline = self.deadline();
            let (_, sleep) = self.sleep.get_or_insert_with(|| {
                let clock = self.clock.clone();
                (deadline, Box::pin(async move { clock.sleep_until(deadline).await }))
            });
            ready!(sleep.as_mut().poll(context));
            self.sleep = None;
            if self.clock.now() >= self.deadline() {
                return Poll::Ready(self.limit);
            }
        }
    }
}
