//! A node that gives out text as a test tells it to.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use liteagent_engine::node::prelude::*;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

static LINES: LazyLock<Mutex<HashMap<String, Arc<Line>>>> = LazyLock::new(Mutex::default);

/// What one speaker is told.
#[derive(Debug)]
struct Line {
    tell: mpsc::UnboundedSender<Cue>,
    cues: AsyncMutex<mpsc::UnboundedReceiver<Cue>>,
}

/// What a speaker does next.
#[derive(Debug)]
enum Cue {
    Say(String),
    End(Option<String>),
    Fail(ErrorClass),
}

/// Tells the speakers of a name what to do, one after the other; it may do so before they begin.
#[derive(Clone, Debug)]
pub struct Speaker(Arc<Line>);

impl Speaker {
    /// The speakers of this name; unique per test.
    pub fn of(name: &str) -> Self {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(name.to_owned()).or_insert_with(|| {
            let (tell, cues) = mpsc::unbounded_channel();
            Arc::new(Line { tell, cues: AsyncMutex::new(cues) })
        });
        Self(line.clone())
    }

    /// It gives out a piece.
    pub fn say(&self, text: &str) -> &Self {
        self.tell(Cue::Say(text.to_owned()))
    }

    /// It ends with everything that its attempt has said.
    pub fn end(&self) -> &Self {
        self.tell(Cue::End(None))
    }

    /// It ends with another text than it has said.
    pub fn end_with(&self, text: &str) -> &Self {
        self.tell(Cue::End(Some(text.to_owned())))
    }

    /// Its attempt fails.
    pub fn fail(&self, class: ErrorClass) -> &Self {
        self.tell(Cue::Fail(class))
    }

    fn tell(&self, cue: Cue) -> &Self {
        // The other half stands beside this one.
        let _ = self.0.tell.send(cue);
        self
    }
}

/// Who it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpeakConfig {
    /// By which name it is told what to do.
    pub name: Template<String>,
    /// What it reads.
    #[serde(default)]
    pub reads: TemplateTree,
}

/// What it said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SpeakOutput {
    /// All of it.
    pub text: String,
    /// Which round of an agent this would be: the number of words.
    pub words: usize,
}

/// See [`SpeakConfig`].
#[derive(Debug)]
pub struct Speak {
    config: SpeakConfig,
}

impl Node for Speak {
    const TYPE: &'static str = "speak";
    const META: NodeMeta = NodeMeta {
        effect: Effect::Idempotent,
        inline: false,
        streams: true,
        requires: &[Capability::Models],
        ..NodeMeta::pure(Family::Model, &[])
    };
    type Config = SpeakConfig;
    type Output = SpeakOutput;

    fn new(config: SpeakConfig) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<SpeakOutput>, NodeError> {
        ctx.render_tree(&self.config.reads)?;
        let line = Speaker::of(&ctx.render(&self.config.name)?).0;
        let mut cues = line.cues.lock().await;
        let mut text = String::new();
        loop {
            match cues.recv().await {
                Some(Cue::Say(piece)) => {
                    ctx.emit(&piece);
                    text.push_str(&piece);
                }
                Some(Cue::End(other)) => {
                    let text = other.unwrap_or(text);
                    return Ok(Outcome::Done(SpeakOutput { words: text.split_whitespace().count(), text }));
                }
                Some(Cue::Fail(class)) => {
                    return Err(NodeError::new(codes::HTTP_UNREACHABLE, class, "it lost its voice"));
                }
                None => std::future::pending().await,
            }
        }
    }
}
