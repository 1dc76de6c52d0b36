//! A folder of definitions that the server follows: what changes there is published, unless it has errors.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::extract::State;
use liteagent_engine::{
    bundle::Bundle,
    codes,
    load::{LoadOptions, load},
    node::Registry,
};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::{
    access::{Access, Role},
    accounts::Actor,
    app::App,
    extract::Json,
    problem::{Finding, Problem},
    routes::Routes,
    store::Source,
    triggers,
    workflows::{Addition, findings},
};

/// Who adds the versions that come from the folder.
const BY: &str = "folder";
/// An editor changes a file in several steps.
const SETTLED: Duration = Duration::from_millis(100);

/// A folder of definitions.
#[derive(Clone)]
pub struct Folder {
    /// The root: names of workflows are paths below it.
    pub root: PathBuf,
    /// Whether what changes there is published as an owner would; else as an editor would: a version that newly uses a secret
    /// or an MCP server is kept, and waits for an owner.
    pub is_owner: bool,
    /// Every file that is meant to be a workflow, with the name that it has.
    pub list: Arc<dyn Fn() -> Vec<(PathBuf, String)> + Send + Sync>,
}

/// What is known of the folder.
#[derive(Default)]
pub(crate) struct Watched {
    files: Mutex<Vec<FileState>>,
}

/// A file of the folder.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FileState {
    /// Its path below the root.
    path: String,
    /// The workflow that it defines.
    workflow: String,
    /// Whether it has no error. The last version without errors stays published.
    valid: bool,
    /// What the check says.
    diagnostics: Vec<Finding>,
}

/// How it stands with the folder after a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// How many workflows are published from it.
    pub workflows: usize,
    /// The files with errors, by their paths below the root.
    pub broken: Vec<String>,
    /// The files whose versions wait for an owner who publishes them, by their paths below the root.
    pub waiting: Vec<String>,
}

/// A file as it was read.
struct Read {
    state: FileState,
    loaded: Option<(Bundle, Source)>,
    files: Vec<PathBuf>,
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.add(Access::User(Role::Viewer), routes!(definitions))
}

/// The folder of definitions.
#[derive(Serialize, ToSchema)]
struct Definitions {
    /// Its files.
    files: Vec<FileState>,
}

/// Shows the folder of definitions that the server follows
#[utoipa::path(get, path = "/api/definitions", tag = "workflows", responses((status = 200, body = Definitions)))]
async fn definitions(State(app): State<Arc<App>>) -> Json<Definitions> {
    let files = app.watched.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Json(Definitions { files })
}

impl App {
    /// Publishes what the folder has, and takes back what it has no more. Gives the folders to watch.
    pub(crate) async fn sync(
        &self,
        folder: &Folder,
        registry: &Registry,
    ) -> Result<(Synced, BTreeSet<PathBuf>), Problem> {
        let (from, types) = (folder.clone(), registry.clone());
        let read = tokio::task::spawn_blocking(move || read(&from, &types)).await.map_err(Problem::internal)?;
        let mut synced = Synced::default();
        let mut folders = BTreeSet::from([folder.root.clone()]);
        let mut states = Vec::new();
        for Read { mut state, loaded, files } in read {
            folders.extend(files.iter().filter_map(|file| file.parent().map(Path::to_owned)));
            match loaded.filter(|(bundle, _)| self.has_free_triggers(bundle, &mut state)) {
                Some((bundle, source)) => match self.put(bundle, source, folder.is_owner).await? {
                    None => synced.workflows += 1,
                    Some(waits) => {
                        state.diagnostics.push(waits);
                        synced.waiting.push(state.path.clone());
                    }
                },
                None => synced.broken.push(state.path.clone()),
            }
            states.push(state);
        }
        let there: BTreeSet<&str> = states.iter().map(|state| state.workflow.as_str()).collect();
        for published in self.workflows.all_published() {
            let row = &published.row;
            if row.created_by == BY && !there.contains(&*row.workflow) {
                self.workflows.publish(&row.workflow, None, &actor(folder.is_owner)).await?;
            }
        }
        *self.watched.files.lock().unwrap_or_else(PoisonError::into_inner) = states;
        Ok((synced, folders))
    }

    /// Whether its triggers can be published beside those of the others; else that is a finding.
    fn has_free_triggers(&self, bundle: &Bundle, state: &mut FileState) -> bool {
        let Err(refused) = triggers::check(bundle, &self.workflows.all_published()) else { return true };
        state.valid = false;
        state.diagnostics.push(Finding {
            code: Some(refused.code().0),
            severity: Some("error"),
            message: refused.said().to_owned(),
            hint: refused.hinted().map(str::to_owned),
            ..Finding::default()
        });
        false
    }

    /// Adds a version and publishes it; or says why it waits for somebody else to do that.
    async fn put(&self, bundle: Bundle, source: Source, is_owner: bool) -> Result<Option<Finding>, Problem> {
        if self.workflows.published(&bundle.entry).is_ok_and(|there| there.row.digest == *bundle.digest()) {
            return Ok(None);
        }
        let actor = actor(is_owner);
        let needs = self.workflows.check_uses(&bundle, actor.is_owner).err();
        let new = Addition { source, note: None, actor, publish: needs.is_none() };
        let row = self.workflows.add_bundle(bundle, new).await?;
        Ok(needs.map(|needs| Finding {
            code: Some(codes::OWNER_NEEDED.0),
            severity: Some("warning"),
            message: format!("version {} waits for an owner: {}", row.version, needs.said()),
            hint: Some(format!(
                "let an owner publish it: PUT /api/workflows/{}/published with {{\"version\": {}}}",
                row.workflow.replace('/', "%2F"),
                row.version
            )),
            ..Finding::default()
        }))
    }

    /// Follows the folder until the server stops.
    pub(crate) async fn follow(&self, folder: Folder, registry: Registry, watch: BTreeSet<PathBuf>) {
        let (sender, mut changes) = mpsc::unbounded_channel();
        let told = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Nobody listens any more when the server stops.
                let _ = sender.send(());
            }
        };
        let mut watcher = match notify::recommended_watcher(told) {
            Ok(watcher) => watcher,
            Err(error) => return tracing::error!(%error, "the folder of definitions cannot be watched"),
        };
        let mut watched = BTreeSet::new();
        let mut wanted = watch;
        loop {
            watch_all(&mut watcher, &wanted, &mut watched);
            tokio::select! {
                () = self.stopping() => return,
                _ = changes.recv() => {}
            }
            while tokio::time::timeout(SETTLED, changes.recv()).await.is_ok() {}
            match self.sync(&folder, &registry).await {
                Ok((synced, folders)) => {
                    tracing::info!(workflows = synced.workflows, broken = ?synced.broken, waiting = ?synced.waiting, "definitions were read again");
                    wanted = folders;
                }
                Err(problem) => tracing::error!(?problem, "definitions could not be read again"),
            }
        }
    }
}

/// The folder, as one who changes workflows.
fn actor(is_owner: bool) -> Actor {
    Actor { who: BY.to_owned(), address: Ipv4Addr::LOCALHOST.into(), is_owner }
}

fn watch_all(watcher: &mut RecommendedWatcher, wanted: &BTreeSet<PathBuf>, watched: &mut BTreeSet<PathBuf>) {
    for folder in wanted.difference(watched).cloned().collect::<Vec<_>>() {
        match watcher.watch(&folder, RecursiveMode::NonRecursive) {
            Ok(()) => drop(watched.insert(folder)),
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "a folder cannot be watched"),
        }
    }
}

fn read(folder: &Folder, registry: &Registry) -> Vec<Read> {
    let options = LoadOptions { root: Some(folder.root.clone()), ..LoadOptions::default() };
    let read = |(path, name): (PathBuf, String)| {
        let loaded = load(&path, registry, &options);
        // A file that makes a node type is no workflow.
        if loaded.composite.is_some() {
            return None;
        }
        let workflow = loaded.bundle.as_ref().map_or(name, |bundle| bundle.entry.clone());
        let state = FileState {
            path: below(&path, &folder.root),
            workflow,
            valid: loaded.bundle.is_some(),
            diagnostics: findings(&loaded.diagnostics, &folder.root),
        };
        let source = loaded.bundle.map(|bundle| (bundle, source(&path, &loaded.files, &folder.root)));
        Some(Read { state, loaded: source, files: loaded.files })
    };
    (folder.list)().into_iter().filter_map(read).collect()
}

/// The texts of a definition; what cannot be read any more was changed, and is read again at once.
fn source(path: &Path, files: &[PathBuf], root: &Path) -> Source {
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let others = files.iter().filter(|file| *file != path);
    Source { text: text(path), files: others.map(|file| (below(file, root), text(file))).collect::<BTreeMap<_, _>>() }
}

fn below(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
