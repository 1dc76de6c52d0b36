//! The definitions of the installation: checked, kept version by version, one of them published.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Component, Path},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::http::StatusCode;
use liteagent_engine::{
    bundle::Bundle,
    codes,
    definition::Definition,
    diagnostic::{Diagnostic, Lines, Severity},
    load::{Library, LoadOptions, load},
    node::Registry,
    source,
    store::{StoreError, Stores},
    time::Clock,
    types::Type,
    value::Value,
};

pub(crate) use self::api::{inputs_schema, routes};
use crate::{
    accounts::Actor,
    problem::{Finding, Place, Problem},
    store::{NewVersion, Source, Store, VersionRow},
    triggers,
};

mod api;
mod uses;

/// The published workflows, held in memory, and the way to all others.
pub(crate) struct Workflows {
    store: Arc<dyn Store>,
    stores: Stores,
    registry: Registry,
    clock: Arc<dyn Clock>,
    published: RwLock<BTreeMap<String, Arc<Published>>>,
    /// Counts the changes of `published` by this process.
    changes: AtomicU64,
}

/// The version of a workflow that new runs are of.
#[derive(Debug)]
pub(crate) struct Published {
    /// The version.
    pub(crate) row: VersionRow,
    /// Its bundle.
    pub(crate) bundle: Arc<Bundle>,
}

/// What the check of a definition said.
pub(crate) struct Checked {
    /// Every finding.
    pub(crate) findings: Vec<Finding>,
    /// The bundle; `None` when there is an error.
    pub(crate) bundle: Option<Bundle>,
}

impl Workflows {
    /// Reads every published workflow.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        stores: Stores,
        registry: Registry,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let workflows =
            Self { store, stores, registry, clock, published: RwLock::default(), changes: AtomicU64::new(0) };
        for row in workflows.store.published().await? {
            let name = row.workflow.clone();
            match workflows.bundle(&row).await {
                Ok(bundle) => workflows.remember(row, bundle),
                Err(error) => tracing::error!(workflow = name, %error, "a published workflow cannot be used"),
            }
        }
        Ok(workflows)
    }

    /// The node types.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The published version of a workflow.
    pub(crate) fn published(&self, name: &str) -> Result<Arc<Published>, Problem> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        published.get(name).cloned().ok_or_else(|| unknown(name))
    }

    /// Every published workflow, by name.
    pub(crate) fn all_published(&self) -> Vec<Arc<Published>> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A published workflow with inputs that it takes, to show somebody how a run is started: a chat before others.
    pub(crate) fn example(&self) -> Option<(String, Value)> {
        let of = |published: Arc<Published>| {
            let definition = published.bundle.entry()?;
            let has_answer = definition.conversation.is_some();
            Some((has_answer, published.row.workflow.clone(), sample_inputs(definition)?))
        };
        let all: Vec<_> = self.all_published().into_iter().filter_map(of).collect();
        let best = all.iter().find(|(is_chat, ..)| *is_chat).or(all.first())?;
        Some((best.1.clone(), best.2.clone()))
    }

    /// A published workflow, or one version of it.
    pub(crate) async fn at(&self, name: &str, version: Option<u32>) -> Result<Arc<Published>, Problem> {
        let Some(version) = version else { return self.published(name) };
        if let Ok(published) = self.published(name).as_ref()
            && published.row.version == version
        {
            return Ok(published.clone());
        }
        let stored = self.store.version(name, version).await?.ok_or_else(|| unknown_version(name, version))?;
        let bundle = self.bundle(&stored.row).await?;
        Ok(Arc::new(Published { row: stored.row, bundle }))
    }

    /// Checks a definition of a name, or of the one that it gives itself. Workflows that it names are looked for among its
    /// files, then among the published ones.
    pub(crate) async fn check(&self, name: Option<&str>, source: &Source) -> Result<Checked, Problem> {
        let name = name.map(str::to_owned).or_else(|| name_in(&source.text)).filter(|name| is_name(name));
        let name = name.unwrap_or_else(|| "workflow".to_owned());
        let (registry, source) = (self.registry.clone(), source.clone());
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner).clone();
        let checked = tokio::task::spawn_blocking(move || check(&name, &source, &registry, &published));
        checked
            .await
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, codes::NODE_PANICKED, error.to_string()))?
    }

    /// Adds a version of a workflow. `name` is what the workflow must be called; without one, what it calls itself.
    pub(crate) async fn add(&self, name: Option<&str>, new: Addition) -> Result<(VersionRow, Vec<Finding>), Problem> {
        let Checked { findings, bundle } = self.check(name, &new.source).await?;
        let Some(bundle) = bundle else {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                codes::NOT_RUNNABLE,
                "the definition has errors",
            )
            .hint("`diagnostics` has every finding with its place")
            .findings(findings));
        };
        if let Some(name) = name.filter(|name| *name != bundle.entry) {
            let detail = format!("the definition calls itself `{}`, and not `{name}`", bundle.entry);
            return Err(Problem::conflict(codes::OTHER_WORKFLOW, detail)
                .hint(format!("write `name: {name}`, or send it to the workflow `{}`", bundle.entry)));
        }
        if new.publish {
            self.check_uses(&bundle, new.actor.is_owner).map_err(|needs| needs.problem(&bundle.entry))?;
            triggers::check(&bundle, &self.all_published())?;
        }
        let row = self.add_bundle(bundle, new).await?;
        Ok((row, findings))
    }

    /// Adds a version whose bundle is known.
    pub(crate) async fn add_bundle(&self, bundle: Bundle, new: Addition) -> Result<VersionRow, StoreError> {
        let bundle = Arc::new(bundle);
        self.stores.journal.put_bundle(bundle.digest(), bundle.text().clone()).await?;
        let version = NewVersion {
            workflow: bundle.entry.clone(),
            digest: bundle.digest().clone(),
            source: new.source,
            note: new.note,
            publish: new.publish,
        };
        let entry = new.actor.entry(self.clock.now(), "workflows.add", &bundle.entry);
        let row = self.store.add_version(version, entry).await?;
        if new.publish {
            self.remember(row.clone(), bundle);
        }
        Ok(row)
    }

    /// Lets new runs be of a version, or of none.
    pub(crate) async fn publish(&self, name: &str, version: Option<u32>, actor: &Actor) -> Result<(), Problem> {
        let found = match version {
            Some(version) => Some(self.at(name, Some(version)).await?),
            None => None,
        };
        if let Some(found) = &found {
            self.check_uses(&found.bundle, actor.is_owner).map_err(|needs| needs.problem(name))?;
            triggers::check(&found.bundle, &self.all_published())?;
        }
        if !self.store.publish(name, version, actor.entry(self.clock.now(), "workflows.publish", name)).await? {
            return Err(unknown(name));
        }
        match found {
            Some(found) => self.remember(found.row.clone(), found.bundle.clone()),
            None => self.forget(name),
        }
        Ok(())
    }

    /// Deletes a workflow. Runs of it go on.
    pub(crate) async fn delete(&self, name: &str, actor: &Actor) -> Result<(), Problem> {
        if !self.store.delete_workflow(name, actor.entry(self.clock.now(), "workflows.delete", name)).await? {
            return Err(unknown(name));
        }
        self.forget(name);
        Ok(())
    }

    fn remember(&self, row: VersionRow, bundle: Arc<Bundle>) {
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::Relaxed);
        published.insert(row.workflow.clone(), Arc::new(Published { row, bundle }));
    }

    fn forget(&self, name: &str) {
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::Relaxed);
        published.remove(name);
    }

    /// Takes in what other processes published. What this one publishes meanwhile wins.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let before = self.changes.load(Ordering::Relaxed);
        let rows = self.store.published().await?;
        let known: BTreeMap<_, _> =
            self.all_published().into_iter().map(|known| (known.row.workflow.clone(), known)).collect();
        let mut published = BTreeMap::new();
        for row in rows {
            let same = known.get(&row.workflow).filter(|known| known.row == row);
            let found = match same {
                Some(same) => same.clone(),
                None => match self.bundle(&row).await {
                    Ok(bundle) => Arc::new(Published { row, bundle }),
                    Err(error) => {
                        tracing::error!(workflow = row.workflow, %error, "a published workflow cannot be used");
                        continue;
                    }
                },
            };
            published.insert(found.row.workflow.clone(), found);
        }
        let mut current = self.published.write().unwrap_or_else(PoisonError::into_inner);
        if self.changes.load(Ordering::Relaxed) == before {
            *current = published;
        }
        Ok(())
    }

    async fn bundle(&self, row: &VersionRow) -> Result<Arc<Bundle>, StoreError> {
        let text = self.stores.journal.bundle(&row.digest).await?;
        let text = text.ok_or_else(|| {
            StoreError::Damaged(format!("the bundle of version {} of `{}` is missing", row.version, row.workflow))
        })?;
        let bundle = Bundle::parse(&text).map_err(|error| StoreError::Damaged(error.to_string()))?;
        Ok(Arc::new(bundle))
    }
}

/// What a new version has besides its bundle.
pub(crate) struct Addition {
    /// Its texts.
    pub(crate) source: Source,
    /// What its maker says about it.
    pub(crate) note: Option<String>,
    /// Who makes it.
    pub(crate) actor: Actor,
    /// Whether new runs are of it from now on.
    pub(crate) publish: bool,
}

/// There is no such workflow, or none of its versions is published.
pub(crate) fn unknown(name: &str) -> Problem {
    Problem::missing(codes::NO_WORKFLOW, format!("there is no published workflow `{name}`"))
        .hint("list them with GET /api/workflows")
}

fn unknown_version(name: &str, version: u32) -> Problem {
    Problem::missing(codes::NO_WORKFLOW, format!("the workflow `{name}` has no version {version}"))
        .hint("list them with GET /api/workflows/{name}/versions")
}

/// Inputs that a workflow takes, unless that is asked too much.
pub(crate) fn sample_inputs(definition: &Definition) -> Option<Value> {
    let inputs = definition.run_inputs().into_iter().filter(|(_, kind)| !kind.is_optional());
    let inputs = inputs.map(|(name, kind)| Some((name, sample(&kind)?))).collect::<Option<Vec<_>>>()?;
    Some(Value::from_pairs(inputs))
}

/// A value that an input takes, unless that is asked too much.
fn sample(kind: &Type) -> Option<Value> {
    let schema = kind.schema();
    match schema.get("type")?.as_str()? {
        "string" if schema.get("enum").is_none() && schema.get("format").is_none() => Some("What can you do?".into()),
        "integer" if schema.get("minimum").is_none() && schema.get("maximum").is_none() => Some(1_i64.into()),
        "boolean" => Some(true.into()),
        _ => None,
    }
}

/// The name that a definition gives itself.
fn name_in(text: &str) -> Option<String> {
    let (document, _) = source::parse("workflow.yaml", text.to_owned());
    Some(document?.value.get("name")?.as_str()?.to_owned())
}

/// Whether it is a name of a workflow, and so a path that leads nowhere else.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
    };
    name.len() <= 200 && name.split('/').all(is_part)
}

/// Checks texts that are no files of this machine: in a folder of their own, which nothing leads out of.
fn check(
    name: &str,
    source: &Source,
    registry: &Registry,
    published: &BTreeMap<String, Arc<Published>>,
) -> Result<Checked, Problem> {
    let failed = |error: io::Error| Problem::from(StoreError::Failed(format!("a folder for the check: {error}")));
    let folder = tempfile::tempdir().map_err(failed)?;
    let write = |path: &Path, text: &str| {
        let path = folder.path().join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text)).map_err(failed)
    };
    let own = format!("{name}.yaml");
    write(Path::new("liteagent.toml"), "")?;
    for (path, text) in &source.files {
        write(inside(path, &own)?, text)?;
    }
    write(Path::new(&own), &source.text)?;
    let definitions: HashMap<String, Arc<Bundle>> =
        published.iter().map(|(name, published)| (name.clone(), published.bundle.clone())).collect();
    let library = Library::new(move |name| serde_json::to_string(definitions.get(name)?.entry()?).ok());
    let options = LoadOptions { root: Some(folder.path().to_owned()), library: Some(library), model: None };
    let loaded = load(&folder.path().join(&own), registry, &options);
    Ok(Checked { findings: findings(&loaded.diagnostics, folder.path()), bundle: loaded.bundle })
}

/// The path of a file of a definition.
fn inside<'a>(path: &'a str, own: &str) -> Result<&'a Path, Problem> {
    let named = Path::new(path);
    let is_plain = named.components().all(|part| match part {
        Component::Normal(name) => !name.to_string_lossy().starts_with('.'),
        _ => false,
    });
    let is_taken = [own, "liteagent.toml"].contains(&path);
    if path.is_empty() || !is_plain || is_taken || path.contains(['\\', '\0']) || path.len() > 255 {
        return Err(Problem::invalid(codes::REQUEST_BODY, format!("`files` has the path `{path}`, which may not be"))
            .hint("name files by their path below the definitions root, such as `prompts/answer.md`"));
    }
    Ok(named)
}

/// Findings with paths below a folder.
pub(crate) fn findings(diagnostics: &[Diagnostic], folder: &Path) -> Vec<Finding> {
    let mut lines = Lines::default();
    let shown = |file: &str| Path::new(file).strip_prefix(folder).unwrap_or(Path::new(file)).display().to_string();
    let finding = |finding: &Diagnostic| {
        let (at, _) = lines.places(&finding.span);
        Finding {
            code: Some(finding.code.0),
            severity: Some(match finding.severity {
                Severity::Note => "note",
                Severity::Warning => "warning",
                Severity::Error => "error",
            }),
            pointer: None,
            place: Some(Place { file: shown(&finding.span.file.name), line: at.line, column: at.column }),
            message: finding.message.clone(),
            hint: finding.hint.clone(),
        }
    };
    diagnostics.iter().map(finding).collect()
}
