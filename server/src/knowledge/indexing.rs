//! The runs that index documents.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use liteagent_engine::{
    capability::knowledge::{DocumentStatus, Knowledge as _, Mark},
    codes,
    engine::{EngineError, Start},
    id::{Digest, RunId},
    store::{FileValue, RunFilter, RunPhase, RunRow},
    value,
    value::Value,
};
use liteagent_knowledge::{DocumentQuery, KnowledgeBases};

use super::subject;
use crate::{access::Caller, app::App, problem::Problem};

/// How long a run that was told to stop may take to end.
const STOPS: Duration = Duration::from_secs(10);
/// How many ids are read at once.
const PAGE: usize = 1_000;

/// A document that shall be indexed.
#[derive(Debug)]
pub(super) struct NewDocument {
    /// Unique in its base.
    pub(super) id: String,
    /// What people call it; what it calls itself by default.
    pub(super) title: Option<String>,
    /// Where it can be read.
    pub(super) url: Option<String>,
    /// What filters see: an object.
    pub(super) metadata: Value,
    /// What it is.
    pub(super) source: Source,
}

/// What a document is.
#[derive(Debug)]
pub(super) enum Source {
    /// A file.
    File {
        /// Its name, without folders.
        name: String,
        /// What the sender says that it is. Nobody believes it.
        mime: String,
        /// Its content.
        content: Bytes,
        /// The digest of its content.
        digest: Digest,
    },
    /// A text.
    Text(String),
}

impl NewDocument {
    /// Changes whenever the document does.
    fn hash(&self) -> String {
        let content = match &self.source {
            Source::File { digest, .. } => digest.clone(),
            Source::Text(text) => Digest::of(text.as_bytes()),
        };
        let all = value!({
            "content": content.to_string(),
            "title": self.title.clone(),
            "url": self.url.clone(),
            "metadata": self.metadata.clone(),
        });
        Digest::of(all.to_string().as_bytes()).to_string()
    }
}

/// Indexes a document, unless it is indexed already as it is: the run that does.
pub(super) async fn begin(
    app: &Arc<App>,
    caller: &Caller,
    base: &str,
    document: NewDocument,
) -> Result<Option<RunId>, Problem> {
    let bases = app.bases().await?;
    let hash = document.hash();
    let known = bases.documents(base, std::slice::from_ref(&document.id)).await?.pop().flatten();
    if known.is_some_and(|known| known.status == DocumentStatus::Ready && known.hash == hash) {
        return Ok(None);
    }
    stop(app, base, &document.id).await?;
    let NewDocument { id, title, url, metadata, source } = document;
    mark(&bases, base, &id, title.clone(), DocumentStatus::Queued, None).await?;
    let run = RunId::random();
    let (file, text) = match source {
        Source::Text(text) => (None, Some(text)),
        Source::File { name, mime, content, .. } => {
            let file = app.files.create(run, &name, &mime, content).await;
            (Some(undone(file.map_err(Problem::from), &bases, base, &id).await?), None)
        }
    };
    let file = file.as_ref().map(file_value);
    let given = [("title", title.map(Value::from)), ("url", url.map(Value::from)), ("file", file)];
    let given = given.into_iter().chain([("text", text.map(Value::from))]);
    let given = given.filter_map(|(name, value)| Some((name, value?)));
    let always = [
        ("knowledge", Value::from(base)),
        ("id", Value::from(id.as_str())),
        ("hash", Value::from(hash)),
        ("metadata", metadata),
    ];
    let inputs = Value::from_pairs(always.into_iter().chain(given));
    start(app, caller, &bases, base, &id, run, inputs).await.map(Some)
}

fn file_value(file: &FileValue) -> Value {
    Value::from_serialize(file).expect("texts and numbers have a JSON form")
}

/// Indexes a document once more, from what was sent for it.
pub(super) async fn again(app: &Arc<App>, caller: &Caller, base: &str, id: &str) -> Result<RunId, Problem> {
    let bases = app.bases().await?;
    if bases.documents(base, &[id.to_owned()]).await?.iter().all(Option::is_none) {
        return Err(no_document(base, id));
    }
    let gone = || {
        let detail = format!("what was sent for the document `{id}` is not kept here");
        Problem::conflict(codes::SOURCE_GONE, detail).hint(
            "send it again; what came from a folder is indexed again with `liteagent index KNOWLEDGE FOLDER --again`",
        )
    };
    let old = newest(app, base, id).await?.ok_or_else(gone)?;
    let inputs = app.engine.view(old.id).await?.ok_or_else(gone)?.inputs;
    stop(app, base, id).await?;
    let run = RunId::random();
    if let Some(file) = inputs.get("file").and_then(|file| file.get("id")).and_then(Value::as_str) {
        let files = &app.files;
        files.share(old.id, run, vec![file.to_owned()]).await?;
        files.open(run, file).await?.ok_or_else(gone)?;
    }
    mark(&bases, base, id, None, DocumentStatus::Queued, None).await?;
    start(app, caller, &bases, base, id, run, inputs).await
}

async fn start(
    app: &Arc<App>,
    caller: &Caller,
    bases: &KnowledgeBases,
    base: &str,
    id: &str,
    run: RunId,
    inputs: Value,
) -> Result<RunId, Problem> {
    let start = Start {
        id: Some(run),
        user: value!({ "name": caller.name() }),
        subject: Some(subject(base, id)),
        ..Start::new(app.knowledge.indexing.clone(), inputs, value!({ "type": "api" }))
    };
    let started = app.begin(Some(caller), start).await.map_err(Problem::from);
    undone(started, bases, base, id).await
}

/// What could not begin leaves no document that waits for ever.
async fn undone<T>(done: Result<T, Problem>, bases: &KnowledgeBases, base: &str, id: &str) -> Result<T, Problem> {
    if let Err(problem) = &done {
        mark(bases, base, id, None, DocumentStatus::Failed, Some(problem.said().to_owned())).await?;
    }
    done
}

async fn mark(
    bases: &KnowledgeBases,
    base: &str,
    id: &str,
    title: Option<String>,
    status: DocumentStatus,
    error: Option<String>,
) -> Result<(), Problem> {
    Ok(bases.mark(base, &[Mark { id: id.to_owned(), title, status, error }]).await?)
}

/// There is no such document.
pub(super) fn no_document(base: &str, id: &str) -> Problem {
    Problem::missing(codes::KNOWLEDGE_INVALID, format!("the knowledge base `{base}` has no document `{id}`"))
        .hint("GET /api/knowledge/{name}/documents lists them")
}

/// The newest run that indexed a document.
pub(super) async fn newest(app: &App, base: &str, id: &str) -> Result<Option<RunRow>, Problem> {
    Ok(runs(app, base, id).await?.into_iter().next())
}

/// The runs that indexed a document, the newest first; without those that these started.
async fn runs(app: &App, base: &str, id: &str) -> Result<Vec<RunRow>, Problem> {
    let filter = RunFilter { subject: Some(subject(base, id)), limit: 1_000, ..RunFilter::default() };
    let runs = app.stores.journal.runs(filter).await?.into_iter();
    Ok(runs.filter(|run| run.parent.is_none()).collect())
}

/// Stops the runs that index a document now: what they would write is not wanted any more.
async fn stop(app: &App, base: &str, id: &str) -> Result<(), Problem> {
    for run in runs(app, base, id).await?.into_iter().filter(|run| run.phase != RunPhase::Ended) {
        match app.engine.cancel(run.id, None).await {
            Ok(()) | Err(EngineError::HasEnded(_)) => {}
            Err(error) => return Err(error.into()),
        }
        // Also one that waits in line ends here.
        let mut stream = app.engine.stream(run.id, None).await?;
        let end = async {
            while stream.next().await?.is_some() {}
            Ok::<_, EngineError>(())
        };
        tokio::time::timeout(STOPS, end).await.map_err(|_| still(id, run.id))??;
    }
    Ok(())
}

/// A document is indexed, and that could not be stopped.
fn still(id: &str, run: RunId) -> Problem {
    Problem::conflict(codes::RUN_STATE, format!("the document `{id}` is being indexed by {run}, which does not stop"))
        .hint("try again when the run has ended")
        .about(run)
}

/// Deletes the runs that indexed a document, with its file.
pub(super) async fn forget(app: &App, base: &str, id: &str) -> Result<(), Problem> {
    stop(app, base, id).await?;
    match app.stores.forget(&subject(base, id)).await? {
        Ok(_) => Ok(()),
        Err(open) => Err(open.first().map_or_else(|| no_document(base, id), |run| still(id, *run))),
    }
}

/// The ids of all documents of a base.
pub(super) async fn all_documents(bases: &KnowledgeBases, base: &str) -> Result<Vec<String>, Problem> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let query = DocumentQuery { after: all.last().cloned(), limit: PAGE, ..DocumentQuery::default() };
        let page = bases.list_documents(base, &query).await?;
        let is_last = page.len() < PAGE;
        all.extend(page.into_iter().map(|document| document.id));
        if is_last {
            return Ok(all);
        }
    }
}
