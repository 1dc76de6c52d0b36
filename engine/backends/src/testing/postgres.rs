//! A PostgreSQL for tests, from Debian's packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use tempfile::TempDir;
use url::Url;

/// Where Debian puts the programs of each version.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// A server of its own, with its data in a temporary folder and a socket there; it has no port. It is stopped when this is
/// dropped, and when the process dies.
///
/// # Panics
/// Everything here panics where there is no PostgreSQL, or it does not do what it is told.
pub struct PostgresServer {
    folder: TempDir,
    running: Mutex<Option<Running>>,
    databases: AtomicU32,
}

/// A program that runs beside the test.
pub(super) struct Running {
    process: u32,
    /// It waits for the end of the program. The program dies with this thread, and so with the process.
    waits: JoinHandle<()>,
}

impl Running {
    pub(super) fn start(mut command: Command) -> Self {
        let (tell, started) = mpsc::channel();
        let waits = thread::spawn(move || {
            let mut program: Child = command.spawn().expect("the program starts");
            tell.send(program.id()).expect("the test waits for it");
            program.wait().expect("it ends");
        });
        Self { process: started.recv().expect("the program starts"), waits }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.waits.is_finished()
    }

    pub(super) fn stop(self) {
        run(Command::new("kill").arg("-INT").arg(self.process.to_string()));
        self.waits.join().expect("the thread only waits");
    }
}

impl PostgresServer {
    /// The server of this process. It stops when nobody has it any more.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A server of one's own: to stop it, or to change its settings.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("liteagent-pg-").tempdir_in("/tmp").expect("a temporary folder");
        give(folder.path());
        let server = Self { folder, running: Mutex::default(), databases: AtomicU32::default() };
        run(newest("initdb")
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"])
            .args(["--no-instructions", "--locale=C.UTF-8", "--pgdata"])
            .arg(server.data()));
        server.go_on();
        server
    }

    /// Starts it again.
    pub fn go_on(&self) {
        let mut command = newest("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=32MB"]);
        command.args(["-c", "autovacuum=off", "-c", "log_min_messages=fatal"]).stdout(Stdio::null()).stderr(self.log());
        *self.running() = Some(Running::start(command));
        let mut ready = newest("pg_isready");
        ready.arg("-q").arg("-h").arg(self.folder.path()).args(["-d", "postgres", "-U", "postgres", "-t", "1"]);
        while !ready.status().expect("pg_isready runs").success() {
            let running = self.running();
            assert!(running.as_ref().is_some_and(|it| !it.has_ended()), "PostgreSQL ended:\n{}", self.said());
            drop(running);
            thread::yield_now();
        }
    }

    /// Stops it; what is under way is undone.
    pub fn stop(&self) {
        if let Some(running) = self.running().take() {
            running.stop();
        }
    }

    /// Lets it go on in a new timeline, as a standby does that takes over.
    pub fn change_timeline(&self) {
        self.stop();
        let settings = self.data().join("postgresql.auto.conf");
        fs::write(settings, "restore_command = 'false'\n").expect("the settings are written");
        fs::write(self.data().join("recovery.signal"), "").expect("the signal is written");
        give(&self.data());
        self.go_on();
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A fresh database.
    pub fn database(&self) -> Url {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, name: &str) -> Url {
        let mut url = Url::parse("postgres://postgres@localhost").expect("it is one");
        url.set_path(name);
        url.query_pairs_mut().append_pair("host", &self.folder.path().display().to_string());
        url
    }

    /// Executes a statement in a database, as its administrator, and gives what it says.
    pub fn execute(&self, database: &str, statement: &str) -> String {
        let mut psql = newest("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", statement]);
        run(psql.arg("-h").arg(self.folder.path()))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> fs::File {
        let path = self.folder.path().join("log");
        fs::OpenOptions::new().create(true).append(true).open(path).expect("its log can be written")
    }

    /// What it complained about.
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program as a user that PostgreSQL accepts. It dies with its parent.
pub(super) fn program(path: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg("--").arg(path).current_dir("/").env_clear().env("LC_ALL", "C.UTF-8");
    command
}

/// A program of the newest version.
fn newest(name: &str) -> Command {
    let versions = fs::read_dir(PROGRAMS).into_iter().flatten().flatten();
    let version = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let version = versions.filter_map(version).max().expect("tests need PostgreSQL: `apt-get install postgresql`");
    program(&Path::new(PROGRAMS).join(version.to_string()).join("bin").join(name))
}

/// Gives a folder to the user of PostgreSQL.
pub(super) fn give(folder: &Path) {
    if is_root() {
        run(Command::new("chown").arg("-R").arg("postgres").arg(folder));
    }
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").expect("there is a /proc")) == 0
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}
