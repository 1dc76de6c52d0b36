//! Follows a run on a server to its end: connections may break, and the run goes on.

use std::{sync::Arc, time::Duration};

use liteagent_engine::{
    codes,
    engine::{Observer as _, OpenWait, RunEnd},
    event::{Event, Record, Seq},
    id::RunId,
    stream::StreamEvent,
    usage::Spent,
    value::Value,
};
use liteagent_providers::sse;
use serde::Deserialize;
use serde_json::json;
use tokio::{signal, time};

use super::{
    Client,
    api::{Detail, Reply},
    events::Events,
};
use crate::{
    failure::{Exit, Failure},
    follow::{PROGRAM, Results, ask, report, waiting},
    progress::Progress,
    said::Answers,
    shell::Shell,
};

/// When nothing comes for so long, the run may wait for somebody.
const QUIET: Duration = Duration::from_millis(300);
const QUIETEST: Duration = Duration::from_secs(10);
/// How long a server may be away.
const AWAY: Duration = Duration::from_mins(1);

/// What commands for a server begin with.
pub(crate) fn program(client: &Client) -> String {
    if client.is_beside() {
        return PROGRAM.to_owned();
    }
    format!("{PROGRAM} --server {}", client.address())
}

/// Follows a run until it ended or waits for somebody, as [`crate::follow::follow`] does on this machine.
pub(crate) async fn follow(
    client: &Client,
    run: RunId,
    progress: &Arc<Progress>,
    shell: &Shell,
    results: Results,
) -> Result<Exit, Failure> {
    let as_json = results == Results::Json;
    progress.watch(run);
    let mut follower = Follower::new(client, run, Answers::new(progress, as_json), shell);
    let mut show = |record: &Record| {
        progress.record(run, record);
        Ok(())
    };
    let mut stopping = false;
    loop {
        let step = tokio::select! {
            step = follower.step(&mut show) => step?,
            _ = signal::ctrl_c() => {
                if stopping {
                    return Ok(Exit::Interrupted);
                }
                stopping = true;
                shell.note("cancelling; Ctrl-C again leaves at once");
                client.send::<Reply>("POST", &path(run, "/cancel"), &json!({})).await?;
                continue;
            }
        };
        let waits = match step {
            Step::On => continue,
            Step::Ended(end) => {
                progress.finish();
                follower.answers.end_line()?;
                return report(shell, &program(client), run, &end, &follower.answers, results);
            }
            Step::Rests(waits) => waits,
        };
        let question = waits.iter().find(|open| !open.wait.ask.is_null());
        let answer = match question {
            Some(question) if shell.can_ask() && !as_json => {
                ask(progress, question.wait.ask.clone()).await?.map(|answer| (question, answer))
            }
            _ => None,
        };
        let Some((question, answer)) = answer else {
            progress.finish();
            return waiting(shell, &program(client), run, &waits, as_json);
        };
        send_answer(client, question.run, &question.node, &answer).await?;
    }
}

/// Shows each record of a run as it comes, until the run has ended.
pub(crate) async fn watch(
    client: &Client,
    run: RunId,
    shell: &Shell,
    mut show: impl FnMut(&Record) -> Result<(), Failure>,
) -> Result<RunEnd, Failure> {
    let silent = Progress::new(crate::progress::Detail::Nothing, false, false);
    let mut follower = Follower::new(client, run, Answers::new(&silent, true), shell);
    loop {
        if let Step::Ended(end) = follower.step(&mut show).await? {
            return Ok(end);
        }
    }
}

/// Answers what a person is asked.
pub(crate) async fn send_answer(client: &Client, run: RunId, node: &str, answer: &Value) -> Result<(), Failure> {
    let body = json!({ "node": node, "action": answer.get("action"), "form": answer.get("form") });
    client.send::<Reply>("POST", &path(run, "/answer"), &body).await.map(drop)
}

/// The path of a run, and of what is below it.
pub(crate) fn path(run: RunId, below: &str) -> String {
    format!("/api/runs/{run}{below}")
}

/// What came of waiting for the next thing.
enum Step {
    /// It goes on.
    On,
    /// It has ended.
    Ended(RunEnd),
    /// It waits for somebody.
    Rests(Vec<OpenWait>),
}

struct Follower<'a> {
    client: &'a Client,
    run: RunId,
    shell: &'a Shell,
    answers: Answers<'a>,
    usage: Spent,
    /// The newest record that was shown: one may come again after a break.
    seen: Seq,
    /// Where the next connection goes on.
    place: Option<String>,
    events: Option<Events>,
    quiet: Duration,
}

/// A piece of an answer, or what became of one.
#[derive(Deserialize)]
struct Said {
    answer: Option<Arc<str>>,
    #[serde(default)]
    text: String,
}

/// Whether it may go better in a moment: the server is away, or about to stop.
fn is_passing(failure: &Failure) -> bool {
    failure.exit == Exit::Platform && failure.code != Some(codes::SERVER_NOT_OURS)
}

impl<'a> Follower<'a> {
    fn new(client: &'a Client, run: RunId, answers: Answers<'a>, shell: &'a Shell) -> Self {
        let (usage, seen, place) = (Spent::default(), 0, None);
        Self { client, run, shell, answers, usage, seen, place, events: None, quiet: QUIET }
    }

    /// Waits for the next thing. May be dropped while it waits.
    async fn step(&mut self, show: &mut impl FnMut(&Record) -> Result<(), Failure>) -> Result<Step, Failure> {
        if self.events.is_none() {
            self.events = Some(self.connect().await?);
        }
        let Some(events) = &mut self.events else { return Ok(Step::On) };
        match time::timeout(self.quiet, events.next()).await {
            Err(_) => {
                self.quiet = (self.quiet * 2).min(QUIETEST);
                self.look().await
            }
            Ok(Ok(Some(event))) => {
                self.quiet = QUIET;
                self.take(event, show)
            }
            Ok(Err(failure)) if !is_passing(&failure) => Err(failure),
            Ok(Ok(None) | Err(_)) => {
                self.events = None;
                // A server that is about to stop ends every connection at once.
                time::sleep(QUIET).await;
                Ok(Step::On)
            }
        }
    }

    /// A connection, as soon as there is one.
    async fn connect(&self) -> Result<Events, Failure> {
        let until = time::Instant::now() + AWAY;
        let mut pause = Duration::from_millis(100);
        loop {
            let failure = match self.client.events(&path(self.run, "/events"), self.place.as_deref()).await {
                Ok(events) => return Ok(events),
                Err(failure) if !is_passing(&failure) => return Err(failure),
                Err(failure) => failure,
            };
            if time::Instant::now() + pause > until {
                let program = program(self.client);
                return Err(failure.hint(format!("the run goes on: `{program} logs {}` follows it", self.run)));
            }
            if pause > Duration::from_millis(100) && pause < Duration::from_millis(300) {
                self.shell.note(format!("{}; trying again", failure.message));
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// Whether the run waits for somebody. One that waits for a time goes on by itself.
    async fn look(&mut self) -> Result<Step, Failure> {
        let detail = match self.client.get::<Detail>(&path(self.run, "")).await {
            Ok(detail) => detail,
            Err(failure) if is_passing(&failure) => {
                self.events = None;
                return Ok(Step::On);
            }
            Err(failure) => return Err(failure),
        };
        let waits = detail.rests_on();
        let is_for_somebody = |open: &OpenWait| !open.wait.ask.is_null() || open.wait.signal.is_some();
        Ok(if waits.iter().any(is_for_somebody) { Step::Rests(waits) } else { Step::On })
    }

    fn take(
        &mut self,
        event: sse::Event,
        show: &mut impl FnMut(&Record) -> Result<(), Failure>,
    ) -> Result<Step, Failure> {
        let sse::Event { name, data, id } = event;
        self.place = id.or_else(|| self.place.take());
        match &*name {
            "record" => {
                #[derive(Deserialize)]
                struct Of {
                    record: Record,
                }
                // A newer server may have kinds of records that are not known here.
                let Ok(Of { record }) = serde_json::from_str(&data) else { return Ok(Step::On) };
                if record.seq <= self.seen {
                    return Ok(Step::On);
                }
                self.seen = record.seq;
                if let Event::RunEnded { usage, .. } = &record.event {
                    self.usage = usage.clone();
                }
                show(&record)?;
                self.answers.take(&StreamEvent::Record { record: Box::new(record) })?;
            }
            "text" | "reset" | "complete" => {
                let said: Said = self.read(&data)?;
                let event = match (&*name, said.answer) {
                    ("text", Some(answer)) => StreamEvent::Text { answer, text: said.text.into() },
                    ("complete", Some(answer)) => StreamEvent::Complete { answer },
                    (_, answer) => StreamEvent::Reset { answer, cause: None },
                };
                self.answers.take(&event)?;
            }
            "end" => {
                let reply: Reply = self.read(&data)?;
                // The end comes last: when there is none yet, the connection begins anew.
                self.events = None;
                return Ok(reply.end(std::mem::take(&mut self.usage)).map_or(Step::On, Step::Ended));
            }
            "error" => return Err(super::problem::failure(self.client.address(), 500, None, data.as_bytes())),
            _ => {}
        }
        Ok(Step::On)
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, data: &str) -> Result<T, Failure> {
        let broken = |error: serde_json::Error| {
            super::problem::not_ours(self.client.address(), &format!("an event cannot be read: {error}"))
        };
        serde_json::from_str(data).map_err(broken)
    }
}
