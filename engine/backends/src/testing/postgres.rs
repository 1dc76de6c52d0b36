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

struct Running {
    process: u32,
    /// It waits for the end of the server. The server dies with this thread, and so with the process.
    waits: JoinHandle<()>,
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
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let server = Self { folder, running: Mutex::default(), databases: AtomicU32::default() };
        run(server
            .program("initdb")
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"])
            .args(["--no-instructions", "--locale=C.UTF-8", "--pgdata"])
            .arg(server.data()));
        server.go_on();
        server
    }

    /// Starts it again.
    pub fn go_on(&self) {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=32MB"]);
        command.args(["-c", "autovacuum=off", "-c", "log_min_messages=fatal"]).stdout(Stdio::null()).stderr(self.log());
        let (tell, started) = mpsc::channel();
        let waits = thread::spawn(move || {
            let mut server: Child = command.spawn().expect("PostgreSQL starts");
            tell.send(server.id()).expect("the test waits for it");
            server.wait().expect("it ends");
        });
        let process = started.recv().expect("PostgreSQL starts");
        *self.running() = Some(Running { process, waits });
        let mut ready = self.program("pg_isready");
        ready.arg("-q").arg("-h").arg(self.folder.path()).args(["-d", "postgres", "-U", "postgres", "-t", "1"]);
        while !ready.status().expect("pg_isready runs").success() {
            let running = self.running();
            assert!(running.as_ref().is_some_and(|it| !it.waits.is_finished()), "PostgreSQL ended:\n{}", self.said());
            drop(running);
            thread::yield_now();
        }
    }

    /// Stops it; what is under way is undone.
    pub fn stop(&self) {
        if let Some(Running { process, waits }) = self.running().take() {
            run(Command::new("kill").arg("-INT").arg(process.to_string()));
            waits.join().expect("the thread only waits");
        }
    }

    /// Lets it go on in a new timeline, as a standby does that takes over.
    pub fn change_timeline(&self) {
        self.stop();
        let settings = self.data().join("postgresql.auto.conf");
        fs::write(settings, "restore_command = 'false'\n").expect("the settings are written");
        fs::write(self.data().join("recovery.signal"), "").expect("the signal is written");
        if is_root() {
            run(Command::new("chown").arg("-R").arg("postgres").arg(self.data()));
        }
        self.go_on();
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A fresh database, empty or like another one.
    pub fn database(&self, like: Option<&str>) -> Url {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", like.unwrap_or("template1")));
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
        let mut psql = self.program("psql");
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

    /// A program of the newest version, as a user that PostgreSQL accepts, and that dies with its parent.
    fn program(&self, name: &str) -> Command {
        let path = newest().join(name);
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "INT"]);
        if is_root() {
            command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
        }
        command.arg("--").arg(path).current_dir("/").env_clear().env("LC_ALL", "C.UTF-8");
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn newest() -> PathBuf {
    let versions = fs::read_dir(PROGRAMS).into_iter().flatten().flatten();
    let version = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(version).max();
    let newest = newest.expect("tests need PostgreSQL: `apt-get install postgresql`");
    Path::new(PROGRAMS).join(newest.to_string()).join("bin")
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
