//! A proxy before the socket of the server, which cuts connections where a test wants it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use liteagent_backends::testing::PostgresServer;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};
use url::Url;

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the server hears what was sent.
    Before,
    /// When the server has answered, before the client hears it.
    After,
}

/// Cuts connections that come through its socket.
pub(crate) struct Proxy {
    folder: TempDir,
    plan: Arc<Mutex<Plan>>,
}

/// When to cut.
#[derive(Default)]
struct Plan {
    /// So many messages pass before the cut.
    pass: Option<(usize, Cut)>,
    was_cut: bool,
}

impl Proxy {
    pub(crate) fn before(server: &PostgresServer) -> Self {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let (socket, target) = (socket(folder.path()), socket(server.folder()));
        let listener = UnixListener::bind(socket).unwrap();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let plan_of_all = plan.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(client, target.clone(), plan_of_all.clone()));
            }
        });
        Self { folder, plan }
    }

    /// The URL of a database, through the proxy.
    pub(crate) fn url(&self, url: &Url) -> Url {
        let mut url = url.clone();
        url.query_pairs_mut().clear().append_pair("host", &self.folder.path().display().to_string());
        url
    }

    /// Lets so many messages of clients pass from now on, and cuts the connection of the next one.
    pub(crate) fn cut_after(&self, messages: usize, cut: Cut) {
        *self.plan.lock().unwrap() = Plan { pass: Some((messages, cut)), was_cut: false };
    }

    pub(crate) fn was_cut(&self) -> bool {
        self.plan.lock().unwrap().was_cut
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}

impl Plan {
    /// A message passes, or is the one.
    fn next(&mut self) -> Option<Cut> {
        match &mut self.pass {
            Some((0, cut)) => {
                let cut = *cut;
                *self = Self { pass: None, was_cut: true };
                Some(cut)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }
}

async fn pass(client: UnixStream, target: PathBuf, plan: Arc<Mutex<Plan>>) {
    let Ok(server) = UnixStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let cut = plan.lock().unwrap().next();
                if cut == Some(Cut::Before) {
                    return;
                }
                if to_server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
                if cut == Some(Cut::After) {
                    let _answer = from_server.read(&mut answered).await;
                    return;
                }
            }
            read = from_server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if to_client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
