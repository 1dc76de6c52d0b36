//! `document-changes`: which documents of a list have changed.

use std::collections::HashSet;

use liteagent_engine::{
    capability::knowledge::{DocumentStatus, Knowledge, Mark},
    node::prelude::*,
};

use sha2::{Digest, Sha256};

use super::vectors;

/// How many ids are read or marked at once.
const PAGE: usize = 1_000;

/// Says which documents of a list are new to a knowledge base or have another hash than there, and which of its documents
/// are no longer in the list.
///
/// Those that changed are put into the knowledge base as `queued`. Unchanged documents cost nothing more: read and embed
/// `changed` alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentChangesConfig {
    /// The knowledge base; it is made when it is not there.
    pub knowledge: Template<String>,
    /// The documents: objects with `id` and `hash`, or files as `file-list` gives them, whose `path` and `sha256` stand for
    /// these. Without a hash, that of `text` is taken.
    pub documents: TemplateTree,
    /// What the ids of the list begin with, where the list is all that there is: ids of the knowledge base that begin so
    /// and are not in the list are `gone`. Nothing is gone when missing.
    pub complete: Option<Template<String>>,
    /// Whether every document counts as changed.
    pub again: Option<Template<bool>>,
    /// The embedding model of a knowledge base that is made: `provider/model`, or an alias.
    #[serde(default = "vectors::embed_alias")]
    pub embedding_model: String,
    /// The language of a knowledge base that is made, for its stop words and word stems: `en`, `de` and so on.
    #[serde(default = "vectors::english")]
    #[schemars(length(min = 2, max = 8))]
    pub language: String,
}

/// What has changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DocumentChangesOutput {
    /// The documents that are new or changed, as they were given, with their `hash`.
    pub changed: Vec<Value>,
    /// How many documents are as they were.
    pub unchanged: u64,
    /// The ids of documents that are no longer there.
    pub gone: Vec<String>,
}

/// See [`DocumentChangesConfig`].
pub struct DocumentChanges {
    config: DocumentChangesConfig,
}

impl Node for DocumentChanges {
    const TYPE: &'static str = "document-changes";
    const META: NodeMeta = NodeMeta {
        family: Family::Retrieval,
        effect: Effect::Idempotent,
        inline: false,
        container: None,
        streams: false,
        requires: &[Capability::Models, Capability::Knowledge],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    type Config = DocumentChangesConfig;
    type Output = DocumentChangesOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let knowledge = ctx.knowledge()?;
        let name = ctx.render(&self.config.knowledge)?;
        let documents = read(ctx.render_tree(&self.config.documents)?)?;
        let complete = self.config.complete.as_ref().map(|prefix| ctx.render(prefix)).transpose()?;
        let again = self.config.again.as_ref().map(|again| ctx.render(again)).transpose()?.unwrap_or_default();
        vectors::base(ctx, &name, &self.config.embedding_model, &self.config.language).await?;
        let gone = match complete {
            Some(prefix) => gone(knowledge, &name, &prefix, &documents).await?,
            None => Vec::new(),
        };
        let (mut changed, mut unchanged) = (Vec::new(), 0);
        for page in documents.chunks(PAGE) {
            let ids: Vec<String> = page.iter().map(|document| document.id.clone()).collect();
            let known = knowledge.documents(&name, &ids).await?;
            let mut marks = Vec::new();
            for (document, known) in page.iter().zip(known) {
                let is_same =
                    known.is_some_and(|known| known.status == DocumentStatus::Ready && known.hash == document.hash);
                if is_same && !again {
                    unchanged += 1;
                    continue;
                }
                let (id, title) = (document.id.clone(), document.title.clone());
                marks.push(Mark { id, title, status: DocumentStatus::Queued, error: None });
                changed.push(document.value.clone());
            }
            knowledge.mark(&name, &marks).await?;
        }
        Ok(Outcome::Done(DocumentChangesOutput { changed, unchanged, gone }))
    }
}

/// A document of the list.
struct Listed {
    id: String,
    hash: String,
    title: Option<String>,
    /// As it was given, with its hash.
    value: Value,
}

fn read(documents: Value) -> Result<Vec<Listed>, NodeError> {
    let Value::List(documents) = documents else { return Ok(vec![listed(&documents, "documents")?]) };
    let documents = documents.iter().enumerate();
    documents.map(|(index, document)| listed(document, &format!("documents[{index}]"))).collect()
}

fn listed(value: &Value, place: &str) -> Result<Listed, NodeError> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(members), Some(id)) = (value.as_object(), text("id").or_else(|| text("path"))) else {
        let message = format!("expected an object with `id` or `path` in `{place}`, found {}", value.kind());
        return Err(NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message)
            .hint("give it the `files` of a `file-list`, or a list of `{ id, text, hash }`"));
    };
    let own = || format!("{:x}", Sha256::digest(text("text").unwrap_or_default()));
    let hash = text("hash").or_else(|| text("sha256")).map_or_else(own, str::to_owned);
    let mut members = members.clone();
    members.insert("hash".into(), Value::from(hash.clone()));
    let title = text("title").map(str::to_owned);
    Ok(Listed { id: id.to_owned(), hash, title, value: Value::Object(Arc::new(members)) })
}

async fn gone(
    knowledge: &dyn Knowledge,
    name: &str,
    prefix: &str,
    documents: &[Listed],
) -> Result<Vec<String>, NodeError> {
    let present: HashSet<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    let (mut gone, mut after) = (Vec::new(), None);
    loop {
        let page = knowledge.ids(name, prefix, after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().cloned();
        gone.extend(page.into_iter().filter(|id| !present.contains(id.as_str())));
        if is_last {
            return Ok(gone);
        }
    }
}

const EXAMPLES: &[Example] = &[
    Example {
    title: "One changed, one is gone",
    yaml: "\
type: document-changes
knowledge: handbook
documents: [{ id: docs/tea.md, hash: \"2\" }, { id: docs/cars.md, hash: Cars. }]
complete: docs/
",
    scope: "\
fakes: { knowledge: { handbook: { docs/tea.md: [Tea.], docs/cars.md: [Cars.], docs/old.md: [Old.], other.md: [Other.] } } }
",
    gives: "output: { changed: [{ id: docs/tea.md, hash: \"2\" }], unchanged: 1, gone: [docs/old.md] }",
},
    Example {
        title: "Something that is no document",
        yaml: "\
type: document-changes
knowledge: handbook
documents: [tea.md]
",
        scope: "fakes: { knowledge: { handbook: {} } }",
        gives: "error: LA2606",
    },
];
