//! An object store for tests: S3 over a folder.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::ObjectOptions;

/// The bucket that is there.
const BUCKET: &str = "values";
/// The key that it knows.
const KEY: (&str, &str) = ("test-key", "test-secret");

/// A server of its own on a free port, with its data in a temporary folder and one bucket. It ends with this.
///
/// # Panics
/// Everything here panics where it cannot do what it is told.
pub struct ObjectServer {
    folder: TempDir,
    address: SocketAddr,
    running: Option<Running>,
    asked: Arc<Mutex<Vec<String>>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl ObjectServer {
    /// Starts it.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let mut server = Self { folder, address, running: None, asked: Arc::default() };
        server.serve(listener);
        server
    }

    /// Starts it again, at the same address.
    pub fn go_on(&mut self) {
        self.serve(TcpListener::bind(self.address).expect("the port is still free"));
    }

    /// Ends it in the middle of whatever it does.
    pub fn stop(&mut self) {
        if let Some(Running { stop, thread }) = self.running.take() {
            drop(stop);
            thread.join().expect("it ends");
        }
    }

    /// The settings of the environment that lead to it.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("STORAGE_URL", format!("s3://{BUCKET}/prod")),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", KEY.0.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEY.1.to_owned()),
        ]
    }

    /// How it is reached.
    pub fn options(&self) -> ObjectOptions {
        self.options_with(&[])
    }

    /// The same with other settings.
    pub fn options_with(&self, other: &[(&str, &str)]) -> ObjectOptions {
        let mut settings: Vec<(&str, String)> =
            other.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        settings.extend(self.settings());
        let setting = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let url = setting("STORAGE_URL").expect("it is among the settings");
        ObjectOptions::read(&url, setting).expect("they can be read")
    }

    /// What its bucket has: the keys of objects.
    pub fn objects(&self) -> Vec<String> {
        let bucket = self.folder.path().join(BUCKET);
        let (mut folders, mut keys) = (vec![bucket.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("it is there").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    keys.push(path.strip_prefix(&bucket).expect("it is below").display().to_string());
                }
            }
        }
        keys.sort_unstable();
        keys
    }

    /// Puts an object into its bucket.
    pub fn put(&self, key: &str, content: &str) {
        let path = self.folder.path().join(BUCKET).join(key);
        fs::create_dir_all(path.parent().expect("it is below the bucket")).expect("folders");
        fs::write(path, content).expect("a file");
    }

    /// What it was asked since it was asked for this: methods and paths.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn serve(&mut self, listener: TcpListener) {
        let service = {
            let files = FileSystem::new(self.folder.path()).expect("the folder is there");
            let mut builder = S3ServiceBuilder::new(files);
            builder.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
            builder.build()
        };
        let asked = self.asked.clone();
        let (stop, mut stopped) = oneshot::channel::<()>();
        let serve = async move {
            listener.set_nonblocking(true).expect("a socket can be so");
            let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is ready");
            let builder = Builder::new(TokioExecutor::new());
            loop {
                let (socket, _) = tokio::select! {
                    accepted = listener.accept() => accepted.expect("a connection"),
                    _ = &mut stopped => return,
                };
                let (service, asked) = (service.clone(), asked.clone());
                let counted = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let line = format!("{} {}", request.method(), request.uri());
                    asked.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                    hyper::service::Service::call(&service, request)
                });
                let connection = builder.serve_connection(TokioIo::new(socket), counted).into_owned();
                // It ends with an error when its client goes away.
                tokio::spawn(async move { drop(connection.await) });
            }
        };
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("threads");
            runtime.block_on(serve);
            // With it every connection ends, whatever it does.
            drop(runtime);
        });
        self.running = Some(Running { stop, thread });
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        self.stop();
    }
}
