//! What a person sees of a turn while it goes on: the answer on stdout as it comes, and on stderr a line for each call of a
//! tool and for each failure that something follows from.

use std::{
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use liteagent_engine::{
    engine::Observer,
    event::{AfterFailure, Event, Over, Record},
    id::RunId,
    value::Value,
};

use super::voice::{Voice, Voices};
use crate::{
    failure::Failure,
    progress::{Story, shown},
};

/// Where turns are shown.
pub(super) struct Screen {
    voices: Voices,
    /// Nothing is shown: the caller wants JSON.
    quiet: bool,
    /// Whether stdout is a terminal: text that may become the answer is shown there, and no text moves its cursor.
    terminal: bool,
    color: bool,
    stage: Mutex<Stage>,
}

#[derive(Default)]
struct Stage {
    run: Option<RunId>,
    /// Who speaks, and what it said since it began.
    speaker: String,
    said: String,
    /// Whether the line on stdout has no end yet.
    open: bool,
    story: Option<Story>,
    /// Why stdout could not be written.
    broken: Option<io::Error>,
}

impl Screen {
    pub(super) fn new(voices: Voices, quiet: bool, terminal: bool, color: bool) -> Self {
        Self { voices, quiet, terminal, color, stage: Mutex::default() }
    }

    /// Shows this run from here on.
    pub(super) fn watch(&self, run: RunId) {
        let story = Some(Story::new(false, self.color));
        *self.lock() = Stage { run: Some(run), story, ..Stage::default() };
    }

    /// Ends the line of the answer, so that something else can be written.
    pub(super) fn pause(&self) {
        self.lock().cut();
    }

    /// The turn is over: what is missing of the answer is written.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(super) fn finish(&self, answer: &str) -> Result<(), Failure> {
        let mut stage = self.lock();
        stage.run = None;
        if !self.quiet {
            match answer.strip_prefix(stage.said.as_str()).filter(|_| !stage.said.is_empty()) {
                Some(rest) => stage.write(self, rest),
                None if answer.trim() == stage.said.trim() => {}
                None => {
                    stage.cut();
                    stage.write(self, answer);
                }
            }
            stage.cut();
        }
        match stage.broken.take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line beside the answer, dim where there are colours.
    fn aside(&self, stage: &mut Stage, line: &str) {
        stage.cut();
        let (dim, end) = if self.color { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        // Nobody may be there to read it, and that is no failure.
        let _ = writeln!(io::stderr().lock(), "{dim}{line}{end}");
    }
}

impl Stage {
    /// Writes a piece of the answer.
    fn write(&mut self, screen: &Screen, piece: &str) {
        self.said.push_str(piece);
        let is_harmless = |letter: &char| !letter.is_control() || matches!(letter, '\n' | '\t');
        let harmless: String =
            if screen.terminal { piece.chars().filter(is_harmless).collect() } else { piece.to_owned() };
        if !harmless.is_empty() {
            self.put(&harmless);
            self.open = !harmless.ends_with('\n');
        }
    }

    /// What was said is over: the next piece begins anew.
    fn cut(&mut self) {
        if std::mem::take(&mut self.open) {
            self.put("\n");
        }
        self.said.clear();
        self.speaker.clear();
    }

    fn put(&mut self, text: &str) {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        self.broken = self.broken.take().or(written.err());
    }
}

impl Observer for Screen {
    fn record(&self, run: RunId, record: &Record) {
        let mut stage = self.lock();
        if self.quiet || stage.run != Some(run) {
            return;
        }
        match &record.event {
            Event::ContainerOpened { node, over: Over::Calls { calls, .. }, .. } => {
                for call in calls.value().as_list().unwrap_or_default() {
                    self.aside(&mut stage, &called(node, call));
                }
            }
            // The error of the run tells of a failure that ends it.
            Event::NodeFailed { then: AfterFailure::Fail, .. } => {}
            Event::NodeFailed { .. } | Event::NodeLost { .. } | Event::BudgetWarned { .. } => {
                if let Some(line) = stage.story.as_mut().and_then(|story| story.tell(record)) {
                    self.aside(&mut stage, &line);
                }
            }
            _ => {}
        }
    }

    fn delta(&self, run: RunId, node: &str, _: u32, text: &str) {
        let mut stage = self.lock();
        if self.quiet || stage.run != Some(run) {
            return;
        }
        match self.voices.voice(node) {
            Voice::Answer => {}
            Voice::Perhaps if self.terminal => {}
            Voice::Perhaps | Voice::None => return,
        }
        if stage.speaker != node && !stage.said.is_empty() {
            // Answers follow each other on lines of their own.
            stage.write(self, "\n");
        }
        node.clone_into(&mut stage.speaker);
        stage.write(self, text);
    }

    fn queued(&self, run: RunId, ahead: &[RunId]) {
        let mut stage = self.lock();
        if !self.quiet && stage.run == Some(run) {
            self.aside(&mut stage, &format!("  waits for {} to end", crate::follow::runs(ahead)));
        }
    }
}

/// `round 2: lookup_order {"order":"70012"}`
fn called(node: &str, call: &Value) -> String {
    let text = |name: &str| call.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let round = node.rsplit_once('[').and_then(|(_, rest)| rest.split(']').next()?.parse::<u32>().ok());
    let round = round.map_or_else(String::new, |round| format!("round {}: ", round + 1));
    let (mark, why) = match call.get("result") {
        Some(_) => ("!", ", which cannot be called so"),
        None => ("·", ""),
    };
    let whole = format!("{round}{} {}{why}", text("name").unwrap_or_default(), text("arguments").unwrap_or_default());
    format!("  {mark} {}", shown(&whole.replace('\n', " "), false).concat())
}
