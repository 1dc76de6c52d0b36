//! `kb`: knowledge bases and their documents.

use clap::Subcommand;
use liteagent_engine::{
    capability::knowledge::{Base, Document, DocumentStatus, Knowledge as _},
    time::iso,
};
use liteagent_knowledge::{DocumentQuery, KnowledgeBases};
use serde_json::json;

use crate::{
    failure::{Exit, Failure},
    knowledge::{self, told},
    platform::block_on,
    progress::{count, grouped},
    project::Project,
    shell::Shell,
};

mod eval;

/// How many documents are read at once.
const PAGE: usize = 1_000;

/// Makes, lists, shows and deletes knowledge bases, and measures what searches in them find.
#[derive(clap::Args)]
pub(crate) struct Kb {
    #[command(subcommand)]
    verb: KbVerb,
}

#[derive(Subcommand)]
enum KbVerb {
    /// Makes a knowledge base; `liteagent index` makes one by itself
    Create {
        /// Its name
        #[arg(value_name = "KNOWLEDGE")]
        name: String,
        /// The embedding model, `provider/model` or an alias
        #[arg(long, value_name = "MODEL", default_value = "embed")]
        model: String,
        /// The language of its documents, for stop words and word stems
        #[arg(long, value_name = "LANGUAGE", default_value = "en")]
        language: String,
    },
    /// Lists the knowledge bases
    List {
        /// Machine-readable output
        #[arg(long)]
        json: bool,
    },
    /// Shows a knowledge base and where its documents stand
    Show {
        /// The knowledge base
        #[arg(value_name = "KNOWLEDGE")]
        name: String,
        /// The chunks of this document
        #[arg(long, value_name = "DOCUMENT")]
        document: Option<String>,
        /// Machine-readable output
        #[arg(long)]
        json: bool,
    },
    /// Leaves a document out of searches, or takes it in again
    Enable {
        /// The knowledge base
        #[arg(value_name = "KNOWLEDGE")]
        name: String,
        /// The document
        #[arg(value_name = "DOCUMENT")]
        document: String,
        /// Leaves it out
        #[arg(long)]
        off: bool,
    },
    /// Gives a knowledge base another embedding model; searches see the old vectors until all new ones are there
    Rebuild {
        /// The knowledge base
        #[arg(value_name = "KNOWLEDGE")]
        name: String,
        /// The embedding model, `provider/model` or an alias
        #[arg(long, value_name = "MODEL")]
        model: String,
    },
    /// Deletes a knowledge base with its documents
    Delete {
        /// The knowledge base
        #[arg(value_name = "KNOWLEDGE")]
        name: String,
    },
    /// Measures what searches find of what was judged to answer: recall, MRR and nDCG for each way to look
    Eval(eval::Eval),
}

impl Kb {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        block_on(async {
            let bases = knowledge::open(&project).await?;
            match self.verb {
                KbVerb::Create { name, model, language } => {
                    create(&project, &bases, name, &model, language, shell).await
                }
                KbVerb::List { json } => list(&bases, json, shell).await,
                KbVerb::Show { name, document: Some(document), json } => {
                    chunks(&bases, &name, &document, json, shell).await
                }
                KbVerb::Show { name, document: None, json } => show(&bases, &name, json, shell).await,
                KbVerb::Enable { name, document, off } => {
                    bases.set_enabled(&name, &document, !off).await.map_err(told)?;
                    shell.note(format!(
                        "`{document}` is {}",
                        if off { "left out of searches" } else { "found by searches" }
                    ));
                    Ok(Exit::Done)
                }
                KbVerb::Rebuild { name, model } => rebuild(&project, &bases, &name, &model, shell).await,
                KbVerb::Delete { name } => {
                    let base = bases.base(&name).await.map_err(told)?;
                    bases.remove(&name).await.map_err(told)?;
                    shell.note(format!("deleted `{name}` with {}", count(base.documents as usize, "document")));
                    Ok(Exit::Done)
                }
                KbVerb::Eval(eval) => eval.run(&project, &bases, shell).await,
            }
        })
    }
}

async fn create(
    project: &Project,
    bases: &KnowledgeBases,
    name: String,
    model: &str,
    language: String,
    shell: &Shell,
) -> Result<Exit, Failure> {
    let router = project.config.router(&project.secrets().await?).await?;
    let base = bases.create_for(&*router, name, model, language).await.map_err(told)?;
    shell.note(format!("made `{}` with the vectors of {}, {} long", base.name, base.model, base.dimensions));
    Ok(Exit::Done)
}

async fn list(bases: &KnowledgeBases, as_json: bool, shell: &Shell) -> Result<Exit, Failure> {
    let all = bases.list().await.map_err(told)?;
    if as_json {
        shell.json(&all)?;
    } else if all.is_empty() {
        shell.note("there is none; `liteagent index handbook docs/` makes one of a folder");
    } else {
        let width = all.iter().map(|base| base.name.len()).max().unwrap_or(0);
        let line = |base: &Base| {
            let (documents, chunks) = (grouped(base.documents), grouped(base.chunks));
            format!("{:width$}  {documents} documents, {chunks} chunks, {}", base.name, base.model)
        };
        shell.out(all.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(Exit::Done)
}

async fn show(bases: &KnowledgeBases, name: &str, as_json: bool, shell: &Shell) -> Result<Exit, Failure> {
    let base = bases.base(name).await.map_err(told)?;
    let documents = documents(bases, name).await?;
    if as_json {
        shell.json(&json!({ "knowledge": base, "documents": documents }))?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![
        format!("knowledge  {}", base.name),
        format!("model      {}, vectors {} long", base.model, base.dimensions),
        format!("language   {}", base.language),
        format!("documents  {}", grouped(base.documents)),
        format!("chunks     {}", grouped(base.chunks)),
        format!("made       {}", iso(base.created_at)),
        String::new(),
    ];
    for document in &documents {
        let off = if document.enabled { "" } else { ", left out of searches" };
        let why = document.error.as_ref().map_or_else(String::new, |error| format!("\n           {error}"));
        let status = document.status.as_str();
        lines.push(match document.status {
            DocumentStatus::Ready => {
                format!("{status:9}  {}: {}{off}", document.id, count(document.chunks as usize, "chunk"))
            }
            _ => format!("{status:9}  {}{off}{why}", document.id),
        });
    }
    shell.out(lines.join("\n").trim_end())?;
    Ok(Exit::Done)
}

async fn documents(bases: &KnowledgeBases, name: &str) -> Result<Vec<Document>, Failure> {
    let mut all: Vec<Document> = Vec::new();
    loop {
        let after = all.last().map(|document| document.id.clone());
        let query = DocumentQuery { prefix: String::new(), status: None, after, limit: PAGE };
        let page = bases.list_documents(name, &query).await.map_err(told)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

async fn chunks(
    bases: &KnowledgeBases,
    name: &str,
    document: &str,
    as_json: bool,
    shell: &Shell,
) -> Result<Exit, Failure> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = bases.chunks(name, document, after, PAGE).await.map_err(told)?;
        after = page.last().map(|chunk| chunk.position);
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            break;
        }
    }
    if as_json {
        let row =
            |stored: &liteagent_knowledge::StoredChunk| json!({ "position": stored.position, "chunk": stored.chunk });
        shell.json(&all.iter().map(row).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let shown = |stored: &liteagent_knowledge::StoredChunk| {
        let page = stored.chunk.page.map_or_else(String::new, |page| format!(", page {page}"));
        let above = if stored.chunk.headings.is_empty() {
            String::new()
        } else {
            format!(" {}", stored.chunk.headings.join(" > "))
        };
        format!("[{}] {} tokens{page}{above}\n{}", stored.position, stored.chunk.tokens, stored.chunk.text)
    };
    shell.out(all.iter().map(shown).collect::<Vec<_>>().join("\n\n"))?;
    Ok(Exit::Done)
}

async fn rebuild(
    project: &Project,
    bases: &KnowledgeBases,
    name: &str,
    model: &str,
    shell: &Shell,
) -> Result<Exit, Failure> {
    let router = project.config.router(&project.secrets().await?).await?;
    let total = bases.base(name).await.map_err(told)?.documents;
    let bar = indicatif::ProgressBar::new(total);
    let done =
        bases.rebuild(name, model, router, |progress| bar.set_position(progress.documents)).await.map_err(told)?;
    bar.finish_and_clear();
    let base = bases.base(name).await.map_err(told)?;
    let (documents, chunks) = (count(done.documents as usize, "document"), count(done.chunks as usize, "chunk"));
    shell.note(format!("`{name}` has the vectors of {} now: {documents}, {chunks}", base.model));
    Ok(Exit::Done)
}
