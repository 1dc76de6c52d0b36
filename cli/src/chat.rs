//! A conversation with a workflow: lines go in, answers stream out.
//!
//! # Layout
//! * `lines`: where lines come from; `command`: what they ask for
//! * `path`: the turns so far, and where the next one stands
//! * `turn`: one turn, from the message to the end of its run
//! * `screen`, `voice`: what a person sees of it while it goes on

use std::sync::Arc;

use liteagent_engine::{bundle::Bundle, id::RunId};

use self::{
    command::Command,
    lines::{Line, Lines},
    path::Path,
    screen::Screen,
    turn::Came,
    voice::Voices,
};
use crate::{
    commands::runs::told,
    failure::{Exit, Failure},
    inputs::InputArgs,
    platform::Platform,
    progress::used,
    project::Project,
    shell::Shell,
};

mod command;
mod lines;
mod path;
mod screen;
mod turn;
mod voice;

/// What a chat begins with.
pub(crate) struct Opening {
    /// The workflow, as the person named it.
    pub(crate) name: String,
    /// The same, ready to run.
    pub(crate) bundle: Arc<Bundle>,
    /// Inputs besides the message, the same for each turn.
    pub(crate) inputs: InputArgs,
    /// The conversation to go on with, or to begin under this id.
    pub(crate) conversation: Option<String>,
    /// Whom it is about.
    pub(crate) subject: Option<String>,
    /// The only message.
    pub(crate) message: Option<String>,
    /// Whether each turn is told as a line of JSON.
    pub(crate) json: bool,
}

/// A conversation that goes on.
pub(crate) struct Chat<'a> {
    opening: Opening,
    shell: &'a Shell,
    screen: Arc<Screen>,
    platform: Platform,
    conversation: String,
    lines: Lines,
    path: Path,
    /// The newest run, also when it is on another path by now.
    newest: Option<RunId>,
    /// How the worst turn ended, for scripts.
    exit: Exit,
}

/// Whether the conversation goes on.
enum Next {
    Line,
    Leave(Exit),
}

impl<'a> Chat<'a> {
    /// Opens the platform and the conversation.
    ///
    /// # Errors
    /// When the platform or the terminal cannot be used, or the conversation is one with another workflow.
    pub(crate) async fn open(shell: &'a Shell, project: &Project, opening: Opening) -> Result<Self, Failure> {
        let voices = Voices::of(&opening.bundle);
        let screen = Arc::new(Screen::new(voices, opening.json, shell.is_out_terminal(), shell.colors_err()));
        let platform = Platform::observed(project, screen.clone()).await?;
        let lines = match &opening.message {
            Some(message) => Lines::Once(Some(message.clone())),
            None if shell.can_ask() => Lines::of_person()?,
            None => Lines::of_stdin(),
        };
        let conversation = opening.conversation.clone().unwrap_or_else(fresh);
        let path = Path::load(&*platform.stores.journal, &conversation, &opening.bundle.entry).await?;
        let newest = path.last().map(|said| said.run);
        Ok(Self { opening, shell, screen, platform, conversation, lines, path, newest, exit: Exit::Done })
    }

    /// The models of the installation.
    pub(crate) fn models(&self) -> &liteagent_providers::Router {
        &self.platform.models
    }

    /// Takes line after line until there is no more.
    ///
    /// # Errors
    /// When lines cannot be read or answers cannot be written any more.
    pub(crate) async fn talk(mut self) -> Result<Exit, Failure> {
        self.welcome();
        let left = loop {
            match self.next().await {
                Ok(Next::Line) => {}
                Ok(Next::Leave(exit)) => break Ok(exit),
                Err(failure) => break Err(failure),
            }
        };
        if self.path.len() > 0 && !self.opening.json {
            let Self { opening: Opening { name, .. }, conversation, .. } = &self;
            self.shell.note(format!("to go on: liteagent chat {name} --conversation {conversation}"));
        }
        // What still runs is given up, so that another process can go on with it.
        self.platform.close().await?;
        left
    }

    fn welcome(&self) {
        if !self.lines.is_person() {
            return;
        }
        if self.path.len() > 0 {
            self.shell.note(format!("goes on after turn {}", self.path.len()));
        } else if let Some(chat) = self.opening.bundle.entry().and_then(|entry| entry.conversation.as_ref()) {
            chat.opening.iter().for_each(|opening| self.shell.note(opening));
            chat.suggestions.iter().for_each(|suggestion| self.shell.note(format!("  e.g. {suggestion}")));
        }
        self.shell.note("/help lists the commands, Ctrl-D leaves");
    }

    async fn next(&mut self) -> Result<Next, Failure> {
        let prompt = format!("{}> ", self.path.len() + 1);
        let line = match self.lines.next(&prompt, "").await? {
            Line::Text(text) if text.trim().is_empty() => return Ok(Next::Line),
            Line::Text(text) => text,
            Line::End => return Ok(Next::Leave(self.exit)),
            Line::Interrupted if self.lines.is_person() => return self.interrupted().await,
            Line::Interrupted => return Ok(Next::Leave(Exit::Interrupted)),
        };
        self.take(&line).await
    }

    /// Ctrl-C at the prompt: twice, it leaves.
    async fn interrupted(&mut self) -> Result<Next, Failure> {
        self.shell.note("Ctrl-C again, or Ctrl-D, leaves");
        let prompt = format!("{}> ", self.path.len() + 1);
        match self.lines.next(&prompt, "").await? {
            Line::Interrupted => Ok(Next::Leave(Exit::Interrupted)),
            Line::End => Ok(Next::Leave(self.exit)),
            Line::Text(text) if text.trim().is_empty() => Ok(Next::Line),
            Line::Text(text) => self.take(&text).await,
        }
    }

    /// Does what a line asks for. What fails is told, and the conversation goes on.
    async fn take(&mut self, line: &str) -> Result<Next, Failure> {
        // A message that was given beforehand is one, whatever it begins with.
        let command = match &self.lines {
            Lines::Once(_) => Ok(Command::Say(line.to_owned())),
            _ => Command::parse(line),
        };
        let done = match command {
            Ok(command) => self.obey(command).await,
            Err(failure) => Err(failure),
        };
        match done {
            Err(failure) if failure.code.is_some() => {
                self.screen.pause();
                self.shell.failure(&failure);
                // A person sees it; a script sees the exit code.
                if !self.lines.is_person() {
                    self.exit = failure.exit;
                }
                Ok(Next::Line)
            }
            done => done,
        }
    }

    async fn obey(&mut self, command: Command) -> Result<Next, Failure> {
        match command {
            Command::Say(message) => return self.say(message).await,
            Command::Retry => {
                let message = self.last()?;
                self.path.fork(None)?;
                return self.say(message).await;
            }
            Command::Edit(text) => {
                let old = self.last()?;
                let Some(message) = self.edited(text, &old).await? else { return Ok(Next::Line) };
                self.path.fork(None)?;
                return self.say(message).await;
            }
            Command::Fork(turn) => {
                let turn = self.path.fork(turn)?;
                let said = self.path.last().map_or_else(String::new, |said| format!(", {:?}", said.message));
                self.shell.note(format!("goes on after turn {turn}{said}"));
            }
            Command::Usage => self.usage().await?,
            Command::Trace => {
                let run = self.newest.ok_or_else(|| path::none("nothing was said yet"))?;
                self.shell.note(format!("run {run}"));
                for line in told(&*self.platform.stores.journal, run, self.shell.colors_err()).await? {
                    self.shell.note(line);
                }
            }
            Command::Help => self.shell.note(command::help()),
            Command::Exit => return Ok(Next::Leave(self.exit)),
        }
        Ok(Next::Line)
    }

    fn last(&self) -> Result<String, Failure> {
        self.path.last().map(|said| said.message.clone()).ok_or_else(|| path::none("nothing was said yet"))
    }

    /// The new text of a message; `None` when the person left it.
    async fn edited(&mut self, text: Option<String>, old: &str) -> Result<Option<String>, Failure> {
        if text.is_some() {
            return Ok(text);
        }
        if !self.lines.is_person() {
            return Err(path::none("expected the new text after `/edit`, found none"));
        }
        let prompt = format!("{}> ", self.path.len());
        Ok(match self.lines.next(&prompt, old).await? {
            Line::Text(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        })
    }

    async fn usage(&self) -> Result<(), Failure> {
        let journal = &*self.platform.stores.journal;
        let newest = match self.newest {
            Some(run) => journal.run(run).await?.map(|row| row.usage),
            None => None,
        };
        if let Some(usage) = newest {
            self.shell.note(format!("the last turn: {}", used(&usage)));
        }
        let turns = crate::progress::count(self.path.len(), "turn");
        self.shell.note(format!("{turns} to here: {}", used(&self.path.used(journal).await?)));
        Ok(())
    }

    async fn say(&mut self, message: String) -> Result<Next, Failure> {
        let came = self.turn(message).await?;
        let exit = match came {
            Came::Answer => Exit::Done,
            Came::Failure => Exit::Failed,
            Came::Cancelled => Exit::Interrupted,
            Came::Wait => Exit::Waiting,
            Came::Leave(exit) => return Ok(Next::Leave(exit)),
        };
        if !self.lines.is_person() {
            if exit != Exit::Done {
                self.exit = exit;
            }
            // What comes next would wait for this turn to end.
            if came == Came::Wait {
                return Ok(Next::Leave(exit));
            }
        }
        Ok(Next::Line)
    }
}

/// The id of a new conversation.
fn fresh() -> String {
    RunId::random().to_string().replacen("run_", "chat_", 1)
}
