//! `deploy`, `diff`, `pull`: a folder and a server.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use liteagent_engine::codes;

use crate::{
    failure::{Exit, Failure},
    output,
    platform::block_on,
    progress::count,
    remote::{
        Choice, Client,
        api::{Checked, Version},
        folder::{Folder, Known, Local, Texts, difference, place, published, sent},
        segment,
    },
    shell::Shell,
};

/// Publishes the workflows of a folder on a server: those that are new there, and those that changed.
#[derive(clap::Args)]
pub(crate) struct Deploy {
    /// The folder
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Says what would be done, lets the server check it, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Deletes the workflows of the server that the folder does not have
    #[arg(long)]
    prune: bool,
    /// What changed, for the list of versions: a commit, for example
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Shows how the workflows of a folder differ from those of a server.
#[derive(clap::Args)]
pub(crate) struct Diff {
    /// The folder
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// Writes the published workflows of a server into a folder.
#[derive(clap::Args)]
pub(crate) struct Pull {
    /// The folder
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Overwrites files that were changed here, too
    #[arg(long)]
    force: bool,
}

impl Deploy {
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        let server = server.any()?;
        let folder = Folder::read(&self.folder, shell)?;
        if folder.workflows.is_empty() && folder.broken.is_empty() {
            // With `--prune`, the server would lose everything.
            let message = format!("there is no workflow in `{}`", self.folder.display());
            return Err(Failure::usage(codes::NO_WORKFLOW, message).hint("name the folder of the definitions"));
        }
        block_on(self.deploy(&Client::open(server)?, folder, shell))
    }

    async fn deploy(self, client: &Client, folder: Folder, shell: &Shell) -> Result<Exit, Failure> {
        let there = published(client).await?;
        let mut done = Done::default();
        for path in folder.broken.keys() {
            done.tell(shell, "refused", path, ": it has errors")?;
        }
        let is_new = |name: &String| if there.contains_key(name) { "changed" } else { "new" };
        let mut waiting = Vec::new();
        for (name, local) in &folder.workflows {
            if there.get(name) == Some(&local.texts) {
                done.tell(shell, "unchanged", name, "")?;
            } else {
                waiting.push((name, local));
            }
        }
        // What takes the place of another workflow, its webhook for example, may have to wait until that one has changed.
        let mut refusals: BTreeMap<&String, Failure> = BTreeMap::new();
        loop {
            let before = waiting.len();
            let mut left = Vec::new();
            for (name, local) in waiting {
                match self.publish(client, name, local).await {
                    Ok(said) => {
                        refusals.remove(name);
                        done.tell(shell, is_new(name), name, &said)?;
                    }
                    Err(failure) if failure.exit == Exit::Platform || is_about_the_caller(&failure) => {
                        return Err(failure);
                    }
                    Err(failure) => {
                        refusals.insert(name, failure);
                        left.push((name, local));
                    }
                }
            }
            waiting = left;
            if waiting.is_empty() || waiting.len() == before || self.dry_run {
                break;
            }
        }
        for (name, failure) in refusals {
            done.tell(shell, "refused", name, "")?;
            shell.failure(&failure);
        }
        if self.prune {
            // A file with errors may be meant to be one of them.
            let broken: BTreeSet<&String> = folder.broken.values().collect();
            for name in there.keys().filter(|name| !folder.workflows.contains_key(*name) && !broken.contains(name)) {
                if !self.dry_run {
                    client.delete(&format!("/api/workflows/{}", segment(name))).await?;
                }
                done.tell(shell, "removed", name, "")?;
            }
        }
        if !self.dry_run {
            agree(client, &folder, &done)?;
        }
        done.end(shell, &format!("{}{}", client.address(), if self.dry_run { " (nothing was changed)" } else { "" }))
    }

    /// Publishes one workflow, or lets it be checked.
    async fn publish(&self, client: &Client, name: &str, local: &Local) -> Result<String, Failure> {
        let body = sent(&local.texts, self.note.as_deref());
        if !self.dry_run {
            let version: Version = client.send("PUT", &format!("/api/workflows/{}", segment(name)), &body).await?;
            return Ok(format!(" (version {})", version.number));
        }
        let checked: Checked = client.send("POST", "/api/check", &body).await?;
        if checked.valid {
            return Ok(String::new());
        }
        let errors = checked.diagnostics.iter().filter(|finding| finding.is_error());
        let lines = errors.fold(String::new(), |lines, finding| lines + "\n  " + &finding.line());
        Err(Failure::usage(codes::NOT_RUNNABLE, format!("the server finds errors in `{name}`{lines}")))
    }
}

/// Not this workflow is refused, but whoever sends it.
fn is_about_the_caller(failure: &Failure) -> bool {
    let about = [codes::NOT_LOGGED_IN, codes::NOT_ALLOWED, codes::SERVER_URL, codes::WRONG_HOST];
    failure.code.is_some_and(|code| about.contains(&code))
}

/// Keeps which texts the folder and the server have in common now.
fn agree(client: &Client, folder: &Folder, done: &Done) -> Result<(), Failure> {
    let mut known = Known::read(&folder.root)?;
    for (name, local) in folder.workflows.iter().filter(|(name, _)| !done.refused.contains(*name)) {
        // A folder with another name for the file is asked by the name that the server has for it.
        known.agree(client.address(), &format!("{name}.yaml"), &local.texts.source);
        for (path, text) in &local.texts.files {
            known.agree(client.address(), path, text);
        }
    }
    known.write(&folder.root)
}

/// What was done to how many workflows.
#[derive(Default)]
struct Done {
    counts: BTreeMap<&'static str, usize>,
    refused: BTreeSet<String>,
}

impl Done {
    fn tell(&mut self, shell: &Shell, what: &'static str, name: &str, more: &str) -> Result<(), Failure> {
        *self.counts.entry(what).or_default() += 1;
        if what == "refused" {
            self.refused.insert(name.to_owned());
        }
        shell.out(format!("{what:9}  {name}{more}"))
    }

    fn end(&self, shell: &Shell, place: &str) -> Result<Exit, Failure> {
        let words: Vec<_> = self.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let words = if words.is_empty() { "no workflows".to_owned() } else { words.join(", ") };
        shell.note(format!("{words}: {place}"));
        if self.refused.is_empty() {
            return Ok(Exit::Done);
        }
        let message = format!("{} refused; the others are as said above", count(self.refused.len(), "workflow"));
        Err(Failure {
            exit: Exit::Failed,
            ..Failure::usage(codes::DEPLOY_REFUSED, message).hint("mend what is said of them")
        })
    }
}

impl Diff {
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        let server = server.any()?;
        let folder = Folder::read(&self.folder, shell)?;
        let client = Client::open(server)?;
        let there = block_on(published(&client))?;
        let broken: BTreeSet<&String> = folder.broken.values().collect();
        let names: BTreeSet<&String> = there.keys().chain(folder.workflows.keys()).collect();
        let names = names.difference(&broken);
        let mut differ = 0;
        for name in names.copied() {
            let here = folder.workflows.get(name).map(|local| &local.texts);
            let diff = difference(name, there.get(name), here);
            if !diff.is_empty() {
                differ += 1;
                shell.out(diff)?;
            }
        }
        for path in folder.broken.keys() {
            shell.note(format!("`{path}` has errors, and is left out"));
        }
        if differ == 0 && folder.broken.is_empty() {
            shell.note(format!("{} has what the folder has", client.address()));
            return Ok(Exit::Done);
        }
        let message = format!("{} of {} from what the folder has", differs(differ), client.address());
        Err(Failure { exit: Exit::Failed, ..Failure::usage(codes::DRIFT, message) }.hint(
            "`liteagent deploy` gives the server what the folder has, `liteagent pull` the folder what the server has",
        ))
    }
}

fn differs(count: usize) -> String {
    if count == 1 { "1 workflow differs".to_owned() } else { format!("{count} workflows differ") }
}

impl Pull {
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        let server = server.any()?;
        fs::create_dir_all(&self.folder).map_err(|error| {
            Failure::usage(
                codes::FILE_UNREADABLE,
                format!("cannot make the folder `{}`: {error}", self.folder.display()),
            )
            .hint("name a folder that can be written")
        })?;
        let folder = Folder::read(&self.folder, shell)?;
        let client = Client::open(server)?;
        let there = block_on(published(&client))?;
        let mut known = Known::read(&folder.root)?;
        let mut done = Done::default();
        for (name, texts) in &there {
            let what = self.write(&client, &folder, &mut known, name, texts)?;
            let more = if what == "refused" { ": it was changed here" } else { "" };
            done.tell(shell, what, name, more)?;
        }
        known.write(&folder.root)?;
        match done.end(shell, &folder.root.display().to_string()) {
            Err(failure) if !done.refused.is_empty() => Err(Failure { code: Some(codes::PULL_REFUSED), ..failure }
                .hint("`liteagent diff` shows how they differ; `--force` overwrites what was changed here")),
            ended => ended,
        }
    }

    /// Writes a workflow with its files, unless one of them was changed here.
    fn write(
        &self,
        client: &Client,
        folder: &Folder,
        known: &mut Known,
        name: &str,
        texts: &Texts,
    ) -> Result<&'static str, Failure> {
        let own = format!("{name}.yaml");
        let at = folder.workflows.get(name).map_or(&*own, |local| &local.path);
        let files = texts.files.iter().map(|(path, text)| (path.as_str(), path.as_str(), text));
        let mut write = Vec::new();
        let mut agreed = Vec::new();
        let mut is_new = true;
        for (path, of_server, text) in files.chain([(at, own.as_str(), &texts.source)]) {
            let target = place(&folder.root, path)?;
            match read(&target)? {
                Some(here) if here == *text => is_new = false,
                Some(here) => {
                    is_new = false;
                    if !self.force && !known.was_there(client.address(), of_server, &here) {
                        return Ok("refused");
                    }
                    write.push((target, text));
                }
                None => write.push((target, text)),
            }
            agreed.push((of_server, text));
        }
        for (target, text) in &write {
            let parent = target.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(parent).map_err(|error| {
                Failure::platform(codes::OUTPUT, format!("cannot make the folder `{}`: {error}", parent.display()))
            })?;
            output::write(target, text)?;
        }
        for (path, text) in agreed {
            known.agree(client.address(), path, text);
        }
        Ok(match (write.is_empty(), is_new) {
            (true, _) => "unchanged",
            (false, true) => "new",
            (false, false) => "changed",
        })
    }
}

/// The text of a file; `None` when it is not there.
fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::usage(codes::FILE_UNREADABLE, format!("cannot read `{}`: {error}", path.display()))
            .hint("look at its permissions")),
    }
}
