//! What a run says to its caller: shown as it comes on a terminal, once it is final elsewhere.

use std::{
    convert::Infallible,
    io::{self, IsTerminal as _, Write as _},
};

use liteagent_engine::{
    id::RunId,
    stream::{OUTPUT, RunStream, Screen, StreamEvent},
};

use crate::{failure::Failure, platform::Platform, progress::Progress};

/// Listens to the answers of a run.
pub(crate) struct Said<'a> {
    stream: RunStream,
    answers: Answers<'a>,
}

/// The answers of a run, as far as they came.
pub(crate) struct Answers<'a> {
    progress: &'a Progress,
    screen: Screen,
    /// Whether stdout is a terminal where they are shown as they come.
    live: bool,
    /// Whether a text is being shown: its line is not ended.
    open: bool,
}

impl<'a> Said<'a> {
    /// Listens from the beginning of the run; shows nothing before the end unless stdout is a terminal.
    pub(crate) async fn by(platform: &'a Platform, run: RunId, as_json: bool) -> Result<Self, Failure> {
        let stream = platform.engine.stream(run, None).await?;
        Ok(Self { stream, answers: Answers::new(&platform.progress, as_json) })
    }

    /// Shows what comes, for as long as it is polled.
    pub(crate) async fn listen(&mut self) -> Result<Infallible, Failure> {
        while let Some(item) = self.stream.next().await? {
            self.answers.take(&item.event)?;
        }
        std::future::pending().await
    }

    /// Takes in what is there now.
    pub(crate) async fn catch_up(&mut self) -> Result<(), Failure> {
        while let Some(item) = self.stream.next_ready().await? {
            self.answers.take(&item.event)?;
        }
        self.answers.end_line()
    }

    /// What came.
    pub(crate) fn answers(&self) -> &Answers<'a> {
        &self.answers
    }
}

impl<'a> Answers<'a> {
    /// None yet. Before the end nothing is shown unless stdout is a terminal.
    pub(crate) fn new(progress: &'a Progress, as_json: bool) -> Self {
        let live = !as_json && io::stdout().is_terminal();
        Self { progress, screen: Screen::default(), live, open: false }
    }

    /// Everything that was said; `None` when nothing was.
    pub(crate) fn text(&self) -> Option<String> {
        Some(self.screen.text()).filter(|text| !text.is_empty())
    }

    /// Whether [`Self::text`] was shown already.
    pub(crate) fn is_shown(&self) -> bool {
        self.live
    }

    /// Takes in what comes next.
    pub(crate) fn take(&mut self, event: &StreamEvent) -> Result<(), Failure> {
        // What a workflow without answers gives out is shown with its outputs.
        if event.answer() == Some(OUTPUT) {
            return Ok(());
        }
        self.screen.apply(event);
        if !self.live {
            return Ok(());
        }
        match event {
            StreamEvent::Record { .. } => {}
            StreamEvent::Text { text, .. } => {
                if !self.open {
                    self.progress.hold();
                    self.open = true;
                }
                write(&printable(text))?;
            }
            StreamEvent::Reset { answer, .. } => {
                if self.open || answer.is_none() {
                    self.end_line()?;
                    write("[again from the beginning]\n")?;
                }
            }
            StreamEvent::Complete { .. } => self.end_line()?,
        }
        Ok(())
    }

    /// Ends a line that is being shown.
    pub(crate) fn end_line(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.open) {
            write("\n")?;
            self.progress.release();
        }
        Ok(())
    }
}

/// No code of another program moves the cursor.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect()
}

fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
