//! Callers that start runs and do not give up.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use liteagent_engine::id::RunId;
use serde_json::json;
use tokio::sync::watch;

use crate::{
    draw::Draw,
    http::ask,
    installation::{Installation, Role},
};

const WORKFLOWS: [&str; 5] = ["chain", "items", "parent", "code", "pause"];
/// How many starts are under way at once.
const CALLERS: u64 = 6;
/// No run is started while so many go on.
const MOST_OPEN: usize = 120;

/// What callers were promised.
#[derive(Default)]
pub(crate) struct Load {
    accepted: Mutex<HashMap<u64, RunId>>,
    next: AtomicU64,
    /// How many runs go on.
    open: AtomicU64,
}

impl Load {
    /// Every run that was accepted.
    pub(crate) fn accepted(&self) -> Vec<RunId> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }

    /// Says how many runs go on.
    pub(crate) fn are_open(&self, runs: usize) {
        self.open.store(runs as u64, Ordering::Relaxed);
    }

    /// Starts runs until it is told to stop; every one that was begun is accepted in the end.
    pub(crate) async fn go_on(
        self: Arc<Self>,
        installation: Arc<Installation>,
        seed: u64,
        stop: watch::Receiver<bool>,
    ) {
        let callers = (0..CALLERS).map(|caller| {
            let (load, installation, stop) = (self.clone(), installation.clone(), stop.clone());
            tokio::spawn(async move { load.call(&installation, Draw::of(seed ^ caller), stop).await })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
    }

    async fn call(&self, installation: &Installation, mut draw: Draw, stop: watch::Receiver<bool>) {
        let ports: Vec<u16> = installation.of(Role::Server).iter().map(|server| server.port).collect();
        let mut token = String::new();
        while !*stop.borrow() {
            if self.open.load(Ordering::Relaxed) >= MOST_OPEN as u64 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let workflow = *draw.one(&WORKFLOWS);
            let body = json!({ "workflow": workflow, "inputs": {}, "mode": "async" });
            let run = loop {
                let port = *draw.one(&ports);
                let head = format!(
                    "POST /api/runs HTTP/1.1\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: chaos-{number}"
                );
                match ask(port, &head, &body).await {
                    Some((200..=299, answer)) => break answer["id"].as_str().unwrap().parse().unwrap(),
                    Some((401, _)) => token = installation.sign_in(port).await.unwrap_or_default(),
                    // It is full, or has no database at the moment.
                    Some((429 | 500..=599, _)) | None => {}
                    Some((status, answer)) => panic!("a run of `{workflow}` was refused with {status}: {answer}"),
                }
                tokio::time::sleep(Duration::from_millis(draw.between(50, 300))).await;
            };
            self.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(number, run);
        }
    }
}
