//! The folders that file nodes may use: how a path leads into one of them, and never out of it.

use std::{
    io::{self, ErrorKind},
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cap_std::{ambient_authority, fs::Dir};
use liteagent_engine::{
    capability::Root,
    codes,
    error::{ErrorClass, NodeError},
};

/// Names that no file node may touch: definitions, data, configuration.
const FORBIDDEN: [&str; 3] = ["liteagent.toml", ".liteagent", ".env"];

/// A place below a root. Opening it never leaves the root, not even through a link.
#[derive(Debug)]
pub(crate) struct Place {
    root: Root,
    /// The way from the root; empty for the root itself.
    relative: PathBuf,
    /// The path as file nodes take it, with the name of the root.
    pub(crate) shown: String,
    hidden: bool,
}

impl Place {
    /// Finds the root that a path leads to. `hidden` says whether names that begin with a dot may stand in it.
    pub(crate) fn find(roots: &[Root], path: &str, hidden: bool) -> Result<Self, NodeError> {
        let segments = segments(path)?;
        for segment in &segments {
            admit(segment, hidden).map_err(|why| refused(path, &why))?;
        }
        let named = segments.first().and_then(|first| roots.iter().find(|root| root.name == *first));
        let (root, below) = match named {
            Some(root) => (root, &segments[1..]),
            None => {
                (roots.iter().find(|root| root.name.is_empty()).ok_or_else(|| no_root(roots, path))?, &segments[..])
            }
        };
        let shown = if segments.is_empty() { ".".to_owned() } else { segments.join("/") };
        Ok(Self { root: root.clone(), relative: below.iter().collect(), shown, hidden })
    }

    /// Refuses a place that may only be read.
    pub(super) fn for_writing(self) -> Result<Self, NodeError> {
        if self.root.writable {
            return Ok(self);
        }
        let message = format!("`{}` lies in a folder that may only be read", self.shown);
        Err(NodeError::new(codes::FILES_PATH, ErrorClass::Forbidden, message)
            .hint("write below a folder that is open for writing"))
    }

    /// The folder that nothing is opened outside of.
    pub(super) fn open_root(&self) -> Result<Dir, NodeError> {
        Dir::open_ambient_dir(&self.root.path, ambient_authority()).map_err(|error| self.failed(&error))
    }

    /// The same, and creates it when it is not there: the first file of a root for writing.
    pub(super) fn open_or_create_root(&self) -> Result<Dir, NodeError> {
        let authority = ambient_authority();
        Dir::create_ambient_dir_all(&self.root.path, authority).map_err(|error| self.failed(&error))?;
        self.open_root()
    }

    /// The way from the root, with every link followed. Links may lead to other names: they are checked again.
    pub(super) fn real_path(&self, dir: &Dir) -> Result<PathBuf, NodeError> {
        if self.relative.as_os_str().is_empty() {
            return Ok(PathBuf::from("."));
        }
        let real = dir.canonicalize(&self.relative).map_err(|error| self.failed(&error))?;
        self.check_names(&real)?;
        Ok(real)
    }

    /// Creates the folders above, and gives the real path of a file that need not exist.
    pub(super) fn real_path_of_new(&self, dir: &Dir) -> Result<PathBuf, NodeError> {
        let name = self.relative.file_name().ok_or_else(|| refused(&self.shown, "expected the path of a file"))?;
        let parent = self.relative.parent().filter(|parent| !parent.as_os_str().is_empty());
        let Some(parent) = parent else { return Ok(name.into()) };
        dir.create_dir_all(parent).map_err(|error| self.failed(&error))?;
        let parent = dir.canonicalize(parent).map_err(|error| self.failed(&error))?;
        self.check_names(&parent)?;
        Ok(parent.join(name))
    }

    fn check_names(&self, real: &Path) -> Result<(), NodeError> {
        for component in real.components() {
            if let Component::Normal(name) = component {
                admit(&name.to_string_lossy(), self.hidden).map_err(|why| refused(&self.shown, &why))?;
            }
        }
        Ok(())
    }

    /// The last name of the path.
    pub(crate) fn name(&self) -> String {
        self.shown.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// A failure of the file system.
    pub(super) fn failed(&self, error: &io::Error) -> NodeError {
        let path = &self.shown;
        let make = |code, class, message| NodeError::new(code, class, message);
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                make(codes::FILES_NOT_FOUND, ErrorClass::NotFound, format!("there is no `{path}`"))
                    .hint("list the folder with `file-list` to see what is there")
            }
            // The guard has no number of the operating system: the path led out of the root.
            ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
                refused(path, "it leads out of its folder")
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => make(
                codes::FILES_FAILED,
                ErrorClass::LimitExceeded,
                format!("the disk is full: `{path}` was not written"),
            )
            .hint("make room on the disk"),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => make(
                codes::FILES_FAILED,
                ErrorClass::Forbidden,
                format!("the system does not let `{path}` be used: {error}"),
            )
            .hint("change the rights of the file or folder"),
            _ => make(codes::FILES_FAILED, ErrorClass::Unavailable, format!("`{path}` could not be used: {error}"))
                .hint("look at the state of the disk"),
        }
    }
}

/// Whether a name may be listed or opened.
pub(super) fn admit(name: &str, hidden: bool) -> Result<(), String> {
    let lower = name.to_lowercase();
    if FORBIDDEN.contains(&lower.as_str()) || lower.starts_with(".env.") {
        return Err(format!("`{name}` is never open to file nodes"));
    }
    if !hidden && name.starts_with('.') {
        return Err(format!("`{name}` is hidden: say `hidden: true` if it is meant"));
    }
    Ok(())
}

fn segments(path: &str) -> Result<Vec<&str>, NodeError> {
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return Err(refused(path, "it holds a backslash or a control character"));
    }
    if path.starts_with(['/', '~']) || path.get(1..2) == Some(":") {
        return Err(refused(path, "it is absolute"));
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !matches!(*segment, "" | ".")).collect();
    if segments.contains(&"..") {
        return Err(refused(path, "it holds `..`"));
    }
    Ok(segments)
}

/// A path that file nodes must not use.
fn refused(path: &str, why: &str) -> NodeError {
    NodeError::new(codes::FILES_PATH, ErrorClass::Forbidden, format!("`{}` is refused: {why}", path.escape_debug()))
        .hint("give a path below an open folder, such as `docs/a.md`")
}

fn no_root(roots: &[Root], path: &str) -> NodeError {
    let names: Vec<String> = roots.iter().map(|root| format!("`{}/`", root.name)).collect();
    let message = format!("`{path}` leads to no folder that is open to file nodes");
    let hint = if names.is_empty() {
        "open a folder in the configuration of this process".to_owned()
    } else {
        format!("begin the path with {}", names.join(" or "))
    };
    NodeError::new(codes::FILES_PATH, ErrorClass::Forbidden, message).hint(hint)
}

/// Whether the node was stopped while its work goes on in another thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the work early when nobody waits for it any more.
    pub(super) fn check(&self) -> Result<(), NodeError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(NodeError::new(codes::FILES_FAILED, ErrorClass::Cancelled, "the node was stopped"));
        }
        Ok(())
    }
}

/// Sets the flag when the node is dropped.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Does the work of the file system beside the executor.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    let stop = Stop::default();
    let _on_drop = StopOnDrop(stop.clone());
    tokio::task::spawn_blocking(move || work(&stop))
        .await
        .map_err(|error| NodeError::internal(format!("work on files broke off: {error}")))?
}
