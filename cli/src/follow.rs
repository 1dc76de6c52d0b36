//! Follows a run to its end: shows it, asks a person where it waits for one, and says how it ended.

use std::sync::Arc;

use liteagent_engine::{
    codes,
    engine::{EngineError, OpenWait, RunEnd, Settled},
    error::ErrorReport,
    event::{RunStatus, SignalTo},
    id::RunId,
    store::RunPhase,
    time::{Clock as _, SystemClock},
    units::Millis,
    value::{Object, Value},
};
use serde_json::json;
use tokio::signal;

use crate::{
    answer,
    commands::run::ShowArgs,
    failure::{Exit, Failure},
    inputs,
    platform::Platform,
    progress::{Progress, count, used, waits},
    said::{Answers, Said},
    shell::Shell,
};

/// What commands begin with.
pub(crate) const PROGRAM: &str = "liteagent";

/// What of a run goes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Results {
    /// What it says, and its outputs.
    All,
    /// What it says.
    Answer,
    /// One JSON object with everything.
    Json,
}

impl From<&ShowArgs> for Results {
    fn from(show: &ShowArgs) -> Self {
        if show.json { Self::Json } else { Self::All }
    }
}

/// Follows a run until it ended or cannot go on by itself.
pub(crate) async fn follow(platform: &Platform, run: RunId, shell: &Shell, results: Results) -> Result<Exit, Failure> {
    let as_json = results == Results::Json;
    let mut stopping = false;
    let mut said = Said::by(platform, run, as_json).await?;
    loop {
        let settled = tokio::select! {
            settled = settled(platform, run) => settled?,
            never = said.listen() => match never? {},
            _ = signal::ctrl_c() => {
                if stopping {
                    return Ok(Exit::Interrupted);
                }
                stopping = true;
                shell.note("cancelling; Ctrl-C again leaves at once");
                platform.engine.cancel(run, by()).await?;
                continue;
            }
        };
        said.catch_up().await?;
        match settled {
            Settled::Ended(end) => {
                platform.progress.finish();
                return report(shell, PROGRAM, run, &end, said.answers(), results);
            }
            Settled::Queued(ahead) => {
                platform.progress.finish();
                return queued(shell, run, &ahead, as_json);
            }
            Settled::Waiting(waits) => {
                let question = waits.iter().find(|open| !open.wait.ask.is_null());
                let (Some(question), true, false) = (question, shell.can_ask(), as_json) else {
                    platform.progress.finish();
                    return waiting(shell, PROGRAM, run, &waits, as_json);
                };
                let Some(payload) = ask(&platform.progress, question.wait.ask.clone()).await? else {
                    platform.progress.finish();
                    return waiting(shell, PROGRAM, run, &waits, as_json);
                };
                platform.engine.signal(question.run, SignalTo::Node(question.node.clone()), payload, by()).await?;
                go_on(platform, run).await?;
            }
        }
    }
}

/// Where a run came to rest. One that only sleeps, until a retry for example, is not at rest; nor is one that waits for
/// another run to end, unless that one rests too.
pub(crate) async fn settled(platform: &Platform, run: RunId) -> Result<Settled, Failure> {
    const EVERY: std::time::Duration = std::time::Duration::from_millis(250);
    let mut has_waited = false;
    loop {
        match platform.engine.settled(run).await {
            Ok(Settled::Waiting(waits)) if waits.is_empty() => {}
            Ok(Settled::Queued(ahead)) => {
                if all_rest(platform, &ahead).await? {
                    return Ok(Settled::Queued(ahead));
                }
                has_waited = true;
                tokio::time::sleep(EVERY).await;
                make_way(platform, run, &ahead).await?;
                continue;
            }
            // Another process that waits too may have taken it when there was room.
            Err(EngineError::Elsewhere(_)) if has_waited => {}
            rest => return Ok(rest?),
        }
        tokio::time::sleep(EVERY).await;
        platform.engine.poll().await?;
    }
}

/// Goes on with a run when there is room, and executes here what stands before it and nobody executes: its process died.
async fn make_way(platform: &Platform, run: RunId, ahead: &[RunId]) -> Result<(), Failure> {
    /// A process that has just created a run is about to take it.
    const FRESH: Millis = 10_000;
    const MOST: u32 = 10_000;
    let now = SystemClock.now();
    let runnable = platform.stores.journal.runnable(now, MOST).await?;
    for left in ahead.iter().filter(|left| runnable.contains(left)) {
        let row = platform.stores.journal.run(*left).await?;
        if row.is_some_and(|row| row.phase != RunPhase::Queued || now - row.updated_at > FRESH) {
            go_on(platform, *left).await?;
        }
    }
    go_on(platform, run).await
}

/// Whether none of these runs goes on by itself.
async fn all_rest(platform: &Platform, runs: &[RunId]) -> Result<bool, Failure> {
    for run in runs {
        let row = platform.stores.journal.run(*run).await?;
        if row.is_none_or(|row| row.phase != RunPhase::Waiting) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Executes a run here, unless it has ended already: a signal alone may have brought it to its end.
pub(crate) async fn go_on(platform: &Platform, run: RunId) -> Result<(), Failure> {
    match platform.engine.resume(run).await {
        Ok(()) | Err(EngineError::HasEnded(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Who acts, as journals show it: the name of the account.
pub(crate) fn by() -> Option<String> {
    crate::config::setting("USER")
}

/// Asks on the terminal; `None` after Ctrl-C, or when the terminal was closed: the run goes on waiting.
pub(crate) async fn ask(progress: &Arc<Progress>, question: Value) -> Result<Option<Value>, Failure> {
    let progress = progress.clone();
    let asked = tokio::task::spawn_blocking(move || progress.pause(|| answer::ask(&question, inputs::ask)));
    tokio::select! {
        answer = asked => match answer {
            Ok(Err(failure)) if failure.code == Some(codes::INPUT_UNREADABLE) => Ok(None),
            Ok(answer) => answer.map(Some),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        },
        _ = signal::ctrl_c() => Ok(None),
    }
}

/// Says how a run ended, and gives its outputs.
pub(crate) fn report(
    shell: &Shell,
    program: &str,
    run: RunId,
    end: &RunEnd,
    said: &Answers<'_>,
    results: Results,
) -> Result<Exit, Failure> {
    let exit = match end.status {
        RunStatus::Succeeded => Exit::Done,
        RunStatus::Failed => Exit::Failed,
        RunStatus::Cancelled => Exit::Interrupted,
    };
    if results == Results::Json {
        shell.json(&json!({
            "run": run,
            "status": end.status,
            "outputs": end.outputs,
            "answer": said.text(),
            "error": end.error,
            "handled_errors": end.handled_errors,
            "usage": end.usage.report(),
        }))?;
        return Ok(exit);
    }
    let text = said.text();
    if let Some(text) = text.as_ref().filter(|_| !said.is_shown()) {
        shell.out(text)?;
    }
    if let Some(error) = &end.error {
        shell.error(&error.code, &described(error), error.hint.as_deref());
        if end.status == RunStatus::Failed {
            shell.note(format!("failed: {run}; `{program} runs show {run}` tells more"));
        }
    }
    match end.status {
        RunStatus::Succeeded => {
            let handled = match end.handled_errors {
                0 => String::new(),
                errors => format!(", {}", count(errors as usize, "handled error")),
            };
            shell.note(format!("succeeded: {run}{handled}"));
            // What was said is not said again as the output.
            let outputs = shown(&end.outputs);
            let is_said =
                text.is_some_and(|text| outputs == text || end.outputs.as_object().is_none_or(Object::is_empty));
            if !is_said && results == Results::All {
                shell.out(outputs)?;
            }
        }
        RunStatus::Cancelled => shell.note(format!("cancelled: {run}")),
        RunStatus::Failed => {}
    }
    if end.usage.total().calls > 0 {
        shell.note(format!("used: {}", used(&end.usage.total())));
    }
    Ok(exit)
}

/// What went wrong, and in which node.
pub(crate) fn described(error: &ErrorReport) -> String {
    match &error.node {
        Some(node) => format!("`{node}`: {}", error.message),
        None => error.message.clone(),
    }
}

/// A lone text as it is, anything else as JSON.
fn shown(outputs: &Value) -> String {
    let members = outputs.as_object();
    if let Some(text) = members.filter(|all| all.len() == 1).and_then(|all| all[0].as_str()) {
        return text.to_owned();
    }
    serde_json::to_string_pretty(outputs).unwrap_or_default()
}

fn queued(shell: &Shell, run: RunId, ahead: &[RunId], as_json: bool) -> Result<Exit, Failure> {
    if as_json {
        shell.json(&json!({ "run": run, "status": "queued", "ahead": ahead }))?;
        return Ok(Exit::Waiting);
    }
    tell_queued(shell, run, ahead);
    Ok(Exit::Waiting)
}

/// Says for whom a run waits to begin.
pub(crate) fn tell_queued(shell: &Shell, run: RunId, ahead: &[RunId]) {
    shell.note(format!("queued: {run} waits for {} to end. To go on then:", runs(ahead)));
    shell.note(format!("    liteagent runs resume {run}"));
}

/// Runs for a message: the first ones by id.
pub(crate) fn runs(runs: &[RunId]) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<String> = runs.iter().take(SHOWN).map(ToString::to_string).collect();
    if runs.len() > SHOWN {
        shown.push(format!("{} more", runs.len() - SHOWN));
    }
    shown.join(", ")
}

/// Says what a run waits for; it is not at its end.
pub(crate) fn waiting(
    shell: &Shell,
    program: &str,
    run: RunId,
    open: &[OpenWait],
    as_json: bool,
) -> Result<Exit, Failure> {
    if as_json {
        let row = |open: &OpenWait| json!({ "node": open.node, "wait": open.wait });
        shell.json(
            &json!({ "run": run, "status": "waiting", "waiting_for": open.iter().map(row).collect::<Vec<_>>() }),
        )?;
        return Ok(Exit::Waiting);
    }
    tell_waits(shell, program, run, open);
    Ok(Exit::Waiting)
}

/// Says what a run waits for, and how it goes on: `program` is what commands begin with.
pub(crate) fn tell_waits(shell: &Shell, program: &str, run: RunId, open: &[OpenWait]) {
    shell.note(format!("waiting: {run}"));
    for open in open {
        shell.note(format!("  `{}` {}. To go on:", open.node, waits(&open.wait)));
        for command in answer::commands(open.run, &open.node, &open.wait) {
            shell.note(format!("    {}", command.replacen(PROGRAM, program, 1)));
        }
    }
}
