//! PgBouncer before a server, from Debian's package.

use std::{fs, path::Path, process::Stdio, thread};

use tempfile::TempDir;
use url::Url;

use super::{
    PostgresServer,
    postgres::{Running, give, program},
};

/// Gives every transaction any of a few connections, with its socket in a temporary folder. It is stopped when this is
/// dropped, and when the process dies.
///
/// # Panics
/// Everything here panics where there is no PgBouncer, or it does not start.
pub struct Pooler {
    folder: TempDir,
    running: Option<Running>,
}

impl Pooler {
    /// A pooler before a server.
    pub fn before(server: &PostgresServer) -> Self {
        let folder = tempfile::Builder::new().prefix("liteagent-pool-").tempdir_in("/tmp").expect("a temporary folder");
        let (own, target) = (folder.path().display(), server.folder().display());
        let settings = format!(
            "[databases]\n* = host={target} user=postgres\n[pgbouncer]\nlisten_port = 5432\nlisten_addr =\nunix_socket_dir = {own}\n\
             auth_type = any\nauth_file =\npool_mode = transaction\ndefault_pool_size = 3\n"
        );
        fs::write(folder.path().join("settings.ini"), settings).expect("the settings are written");
        give(folder.path());
        let mut command = program(Path::new("/usr/sbin/pgbouncer"));
        command.arg("-q").arg(folder.path().join("settings.ini")).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Running::start(command);
        while !folder.path().join(".s.PGSQL.5432").exists() {
            assert!(!running.has_ended(), "tests need PgBouncer: `apt-get install pgbouncer`");
            thread::yield_now();
        }
        Self { folder, running: Some(running) }
    }

    /// The URL of a database, through the pooler.
    pub fn url(&self, url: &Url) -> Url {
        let mut url = url.clone();
        let folder = self.folder.path().display().to_string();
        url.query_pairs_mut().clear().append_pair("host", &folder).append_pair("pgbouncer", "true");
        url
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}
